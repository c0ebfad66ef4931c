"""Looking at a robot without touching it: step by step, read only, in words that lead to the mend."""
