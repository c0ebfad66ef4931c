"""The profile language: its tables as types, and what is wrong with a file that does not speak it."""
