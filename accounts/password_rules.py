"""A password that people who guess would find: leaked ones, words, names, dates, rows of keys. Needs no network."""

from django.core.exceptions import ValidationError

from accounts.models import User

LEAST_SCORE = 3  # of 4: more than 10^8 guesses
LOOKED_AT = 72  # characters; the estimate takes its time with more


class GuessableValidator:
    """Django's interface of a password validator, over zxcvbn."""

    def validate(self, password: str, user: User | None = None) -> None:
        from zxcvbn import zxcvbn  # its word lists take memory: only where passwords are set

        about = [user.username, user.email, user.first_name, user.last_name] if isinstance(user, User) else []
        found = zxcvbn(password[:LOOKED_AT], user_inputs=[word for word in [*about, "robotctl"] if word])
        if found["score"] >= LEAST_SCORE:
            return
        why = found["feedback"]["warning"].rstrip(".") or "it is made of parts that are tried first"
        raise ValidationError(
            f"This password is easy to guess: {why[0].lower()}{why[1:]}. Take four or more words that do not belong together.",
            code="password_guessable",
        )

    def get_help_text(self) -> str:
        return (
            "Your password must not be one that leaked, nor easy to guess. Words that do not belong together do well."
        )
