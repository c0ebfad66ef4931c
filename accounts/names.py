"""User names that cannot pass for another person's: letters of one script, and nobody's name in other letters."""

import unicodedata
from collections.abc import Iterable, Set

from django.core.exceptions import ValidationError

FORGOTTEN = "deleted-"
RESERVED = frozenset({"system", "export", "import", ".", ".."})  # the journal's and the addresses' own
WRITTEN_TOGETHER = (
    frozenset({"CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"CJK", "HANGUL"}),
    frozenset({"CJK", "BOPOMOFO"}),
)
# Letters that are drawn as a Latin one is, in most typefaces: Cyrillic, Greek, and Latin ones of other languages.
DRAWN_ALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝӏАВЕКМНОРСТУХІЈЅԌԚԜӀανορικυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɑɡɩ",
    "aeopcyxijshdqwlABEKMHOPCTYXIJSGQWlavopikuxABEZHIKMNOPTYXiagi",
)


def check(name: str, others: Iterable[str]) -> None:
    """Raises ValidationError for `username`. `name` is normalised (NFKC); `others`: the names that people have."""
    check_against(name, {form for other in others for form in forms(other)})


def checked_for_address(name: str) -> str:
    """A name that an address holds as its last part but one. Raises ValidationError."""
    if "/" in name or name.strip(".") == "" or name.casefold() in RESERVED:
        raise ValidationError(
            "This name cannot stand in an address: take one without a slash, and not system, export or import."
        )
    return name


def forms(name: str) -> set[tuple[str, str]]:
    """What nobody else's name may share."""
    return {("folded", fold(name)), ("drawn", skeleton(name))}


def check_against(name: str, taken: Set[tuple[str, str]]) -> None:
    """The same against the `forms` of all names, for many at once."""
    found = scripts(name)
    if len(found) > 1 and not any(found <= together for together in WRITTEN_TOGETHER):
        words = (
            f"This name mixes {' and '.join(sorted(one.title() for one in found))} letters, some of which look alike. "
            "Take letters of one script; digits and @ . + - _ go with each."
        )
        raise ValidationError({"username": ValidationError(words, code="mixed_scripts")})
    folded = fold(name)
    if forms(name) & taken or folded in RESERVED or folded.startswith(FORGOTTEN):
        words = "This name is reserved, or somebody has it already, perhaps in other letters."
        raise ValidationError({"username": ValidationError(words, code="taken")})


def fold(name: str) -> str:
    """One form for what differs only in capitals, width, or how an accent is stored."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def skeleton(name: str) -> str:
    """One form for what looks the same. Mapped before capitals go: `В` is drawn like B, `в` like nothing Latin."""
    return fold(name if name.isascii() else unicodedata.normalize("NFKC", name).translate(DRAWN_ALIKE))


def scripts(name: str) -> frozenset[str]:
    """The scripts of its letters, by the first word of their Unicode names. Digits and signs of ASCII belong to all."""
    return frozenset(filter(None, map(_script, name)))


def _script(character: str) -> str:
    if character.isascii():
        return "LATIN" if character.isalpha() else ""
    first = unicodedata.name(character, "UNNAMED").removeprefix("EXTENDED ").split()[0].partition("-")[0]
    return "" if first in ("MODIFIER", "COMBINING") else first
