"""The contract suite: what any profile must show with any real robot of its kind.

    pytest firmware/tests/contract --profile P --url U [--credential NAME=VALUE …] [--setting NAME=VALUE …] [--moves]
                                   [--report FILE]

Without options it runs with the robots that can be started here (`kinds.KINDS`). It talks to a robot as the product does:
through `submit`, `stop_robots`, `record` and the poll loop, and looks at what the state document says.
"""
