"""A probe's look at credentials: whether the robot takes the one that signs its reads, and whether it asks for any."""

from typing import Any

from firmware.client import RobotClient
from firmware.errors import NotAllowed
from firmware.probing.asking import Asked, Asker, Target, client_of
from firmware.probing.words import Step, explain


def steps(target: Target, client: RobotClient, read: str, first: Asked[Any], asker: Asker) -> list[Step]:
    """What `first`, the answer to the read signed as the profile says, and one without a credential tell."""
    kind = client.profile
    token = kind.reads[read].token or kind.auth.read_token
    found = _unknown_names(target, kind.auth.tokens)
    if not kind.auth.tokens:
        return [*found, Step("authentication", None, None, "This kind of robot has no credentials.")]
    if token is None:
        return [*found, _unsigned(first)]
    if not target.credentials.get(token):
        return [*found, _not_given(token, first)]
    found.append(_given(token, first))
    if first.error is None and not asker.hung:
        found.append(_without(client, target.url, read, asker))
    return found


def _unknown_names(target: Target, known: list[str]) -> list[Step]:
    strange = sorted(target.credentials.keys() - set(known))
    if not strange:
        return []
    words = f"Not in this profile, and not sent: {', '.join(strange)}. It knows {', '.join(known) or 'none'}."
    return [Step("credentials", False, None, words, "Give each credential by its name in the profile.")]


def _unsigned(first: Asked[Any]) -> Step:
    if isinstance(first.error, NotAllowed):
        mend = "Name the credential in the profile: auth.read_token."
        return Step(
            "authentication", False, None, "Its reads are not signed, and the robot asks for a credential.", mend
        )
    return Step("authentication", None, None, "Its reads are not signed; what signs commands is not tried by a probe.")


def _not_given(token: str, first: Asked[Any]) -> Step:
    if isinstance(first.error, NotAllowed):
        return Step(
            "authentication",
            False,
            first.ms,
            f"It asks for a credential ({explain(first.error)[0]}), and `{token}` was not given.",
            f"Give the credential `{token}`.",
            first.error.status,
        )
    words = f"The credential `{token}` was not given" + (
        ", and the robot answers without it." if not first.error else "."
    )
    return Step("authentication", None, first.ms, words)


def _given(token: str, first: Asked[Any]) -> Step:
    if isinstance(first.error, NotAllowed):
        words = f"It does not take the credential `{token}` ({explain(first.error)[0]})."
        mend = "Check its spelling, that it is not withdrawn, and what it may do on the robot."
        return Step("authentication", False, first.ms, words, mend, first.error.status)
    if first.error is not None:
        return Step("authentication", None, first.ms, f"Whether it takes the credential `{token}` cannot be told.")
    return Step("authentication", True, first.ms, f"It takes the credential `{token}`.")


def _without(client: RobotClient, url: str, read: str, asker: Asker) -> Step:
    bare = client_of(url, client.profile, {})
    try:
        asked = asker.read(bare, read)
    finally:
        bare.close()
    name = "without a credential"
    if isinstance(asked.error, NotAllowed):
        return Step(
            name, True, asked.ms, f"It refuses, as it should ({explain(asked.error)[0]}).", status=asked.error.status
        )
    if asked.error is not None:
        return Step(name, None, asked.ms, explain(asked.error)[0])
    return Step(name, None, asked.ms, "It answers all the same: whoever reaches it can read it.")
