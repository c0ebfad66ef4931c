"""The words of the journal's rows: how a database indexes them, and what is asked of that index.

A word is an unbroken run of letters and digits, in small letters. Both databases are made to see the same words: the parser of
PostgreSQL would take `command.failed` for a host name, and SQLite stores JSON with escapes.

PostgreSQL's index gives no order, and gathers every row that has a word, or a beginning, before it gives the first. So a word
stands in it once for each bucket of ids, as `152#stopped`: what is asked for then lies in one place of the index, bucket by bucket.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

WORD = re.compile(r"[^\W_]+")
LONGEST = (
    100_000  # characters of a row that are indexed on PostgreSQL, whose index refuses a row with a megabyte of words
)
MOST_WORDS = 16
BUCKET_BITS = 15  # 32,768 ids
MOST_TERMS = 64  # that a beginning may stand for, before SQLite is asked for the beginning itself
PUNCTUATION = r"""!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~"""
COLUMNS = ("verb", "target", "robot", "reason")
JOINED = " || ' ' || "


def of_text(text: str) -> list[str]:
    """The words in what somebody typed, at most MOST_WORDS."""
    return WORD.findall(text.lower())[:MOST_WORDS]


def matches(wanted: list[str], text: str, data: str) -> bool:
    """Whether a row's text and its data, as JSON, have all these words, the last of them perhaps only as a beginning."""
    if not all(word in text or word in data or not word.isascii() for word in wanted):
        return False  # seen without reading the JSON; only what is not ASCII may be written otherwise there
    found = set(WORD.findall(" ".join((text, *_texts(_read(data))))))
    return found.issuperset(wanted[:-1]) and any(word.startswith(wanted[-1]) for word in found)


def _read(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data  # somebody damaged it


def _texts(data: Any) -> Iterable[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield key.lower()
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
    else:
        yield "null" if data is None else str(data).lower()


def sqlite_query(wanted: list[str], endings: list[str]) -> str:
    """For MATCH. `endings`: the words that the last one is a beginning of; none: the beginning itself.

    SQLite goes along words row by row, but gathers a beginning whole. In quotes a word is nothing but a word, never syntax.
    """
    *whole, last = (f'"{word}"' for word in wanted)
    any_ending = f"""({" OR ".join(f'"{word}"' for word in endings)})""" if endings else f"{last}*"
    return " AND ".join([*whole, any_ending])


def postgresql_query(wanted: list[str], bucket: int) -> str:
    """A tsquery. Letters and digits in quotes are never syntax, and no word of anybody's has a #."""
    return " & ".join(f"'{bucket}#{word}'" for word in wanted) + ":*"


def _sqlite_words(row: str) -> str:
    columns = JOINED.join(f"{row}{name}" for name in COLUMNS)
    return f"""{columns} || ' ' || coalesce((SELECT group_concat(CASE WHEN typeof(key) = 'text' THEN key || ' ' ELSE '' END ||
    CASE WHEN type IN ('true', 'false', 'null') THEN type ELSE coalesce(atom, '') END, ' ') FROM json_tree({row}data)), '')"""  # noqa: S608 - our own names


# Neither positions nor lengths are kept: words are looked up, not ranked.
TABLE = """CREATE VIRTUAL TABLE journal_words
    USING fts5(words, content='', detail='none', columnsize=0, tokenize='unicode61 remove_diacritics 0')"""
INSERT = f"""CREATE TRIGGER journal_words_insert AFTER INSERT ON accounts_journalentry BEGIN
    INSERT INTO journal_words(rowid, words) VALUES (NEW.id, {_sqlite_words("NEW.")}); END"""  # noqa: S608 - our own names
DELETE = f"""CREATE TRIGGER journal_words_delete AFTER DELETE ON accounts_journalentry BEGIN
    INSERT INTO journal_words(journal_words, rowid, words) VALUES ('delete', OLD.id, {_sqlite_words("OLD.")}); END"""  # noqa: S608 - our own names
FILL = f"""INSERT INTO journal_words(rowid, words)
    SELECT id, {_sqlite_words("accounts_journalentry.")} FROM accounts_journalentry"""  # noqa: S608 - our own names
# The words themselves, in their order.
VOCABULARY = "CREATE VIRTUAL TABLE journal_vocabulary USING fts5vocab(journal_words, instance)"
ENDINGS = """WITH RECURSIVE found(word) AS (
    SELECT (SELECT term FROM journal_vocabulary WHERE term >= %(beginning)s ORDER BY term LIMIT 1) UNION ALL
    SELECT (SELECT term FROM journal_vocabulary WHERE term >= word || char(1) ORDER BY term LIMIT 1)
    FROM found WHERE substr(word, 1, length(%(beginning)s)) = %(beginning)s)
    SELECT word FROM found WHERE substr(word, 1, length(%(beginning)s)) = %(beginning)s LIMIT %(most)s"""
SQLITE = [TABLE, VOCABULARY, INSERT, DELETE, FILL]
# jsonb writes a line's end as \n, whose n would become part of the next word.
_DATA = r"replace(replace(replace(data::text, '\n', ' '), '\r', ' '), '\t', ' ')"
_TEXT = f"left({JOINED.join((*COLUMNS, _DATA))}, {LONGEST})"
_SPACES = " " * (len(PUNCTUATION) - 1)
# PostgreSQL refuses a row with a word of 2,047 bytes. Nobody can ask for more than 500 characters.
_PLAIN = f"translate({_TEXT}, '{PUNCTUATION}', '{_SPACES}')"
_SHORT = rf"regexp_replace({_PLAIN}, '([^ ]{{250}}[^ ]{{250}})[^ ]*', '\1', 'g')"
_WORDS = f"strip(to_tsvector('simple'::regconfig, {_SHORT}))"
POSTGRESQL_VECTOR = f"replace(' ' || {_WORDS}::text, ' ''', ' ''' || (id >> {BUCKET_BITS})::text || '#')::tsvector"
# A list of what is not indexed yet would be read by each search; new rows go into few pages, which are at hand.
POSTGRESQL = [
    f"CREATE INDEX journal_words ON accounts_journalentry USING gin (({POSTGRESQL_VECTOR})) WITH (fastupdate = off)",
]
# Joined, so that the index is the only way: of many queries at once PostgreSQL believes that they find most of the table.
POSTGRESQL_FIND = f"""SELECT found.id FROM unnest(%s::text[]) AS asked(words) CROSS JOIN LATERAL
    (SELECT id FROM accounts_journalentry WHERE {POSTGRESQL_VECTOR.replace("%", "%%")} @@ asked.words::tsquery) AS found"""  # noqa: S608 - our own names
