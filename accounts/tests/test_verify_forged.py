"""Files that somebody without the key has altered: none passes, and none is an error of the verifier."""

import contextlib
import functools
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts import seal_format as form
from accounts import verify
from accounts.tests.test_verify import OTHER, TRUSTED, at, lines_of, row, small


def judged(tmp_path: Path, text: str | bytes, *keys: str) -> tuple[int, str]:
    """Exit code, and what is printed."""
    path, out = tmp_path / "export.jsonl", io.StringIO()
    path.write_bytes(form.as_bytes(text) if isinstance(text, str) else text)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = verify.main([str(path), *(word for key in keys for word in ("--key", key))])
    return code, out.getvalue()


def counted(lines: list[str]) -> str:
    """What somebody without the key makes of it: the counts at the end fit again."""
    ids = [place for place, one in enumerate(lines) if one.startswith('{"row"')]
    seals = [place for place, one in enumerate(lines) if one.startswith('{"seal"')]
    end = json.loads(lines[-1])["end"]
    counts = {"rows": len(ids), "seals": len(seals), "unsealed": sum(one > max(seals, default=0) for one in ids)}
    return "".join([*lines[:-1], form.end_line({**end, **counts})])


def without_seals(lines: list[str]) -> list[str]:
    left = [one for one in lines if not one.startswith('{"seal"')]
    left[3] = left[3].replace('"reason":""', '"reason":"nothing"')
    return [*left[:7], *left[8:]]


def without_the_newest_seals(lines: list[str]) -> list[str]:
    left = [one for place, one in enumerate(lines) if place < 12 or not one.startswith('{"seal"')]
    left[14] = left[14].replace('"actor_id":17', '"actor_id":1')
    return left


def as_if_filtered(lines: list[str]) -> list[str]:
    head = lines[0].replace('"complete":true', '"complete":false').replace('"filter":{}', '"filter":{"verb":"test.*"}')
    return [head, *lines[1:3], *lines[4:]]


FORGERIES: list[Any] = [
    without_seals,
    without_the_newest_seals,
    as_if_filtered,
    lambda lines: [lines[0], *lines[6:]],  # the first seal with its rows
    lambda lines: [lines[0], *lines[21:]],
    lambda lines: [one.replace('"actor":"ada"', '"actor":"eve"') for one in lines],
    lambda lines: [lines[0].replace("09:00:00Z", "10:00:00Z"), *lines[1:]],
    lambda lines: lines_of(small(), OTHER, public_keys=TRUSTED),
]


@pytest.mark.parametrize("keys", [(), tuple(TRUSTED)])
@pytest.mark.parametrize("forge", FORGERIES)
def test_what_no_seal_shows_is_shown_by_the_end(tmp_path: Path, forge: Any, keys: tuple[str, ...]) -> None:
    lines = lines_of(small())
    assert judged(tmp_path, counted(lines), *keys)[0] == 0
    code, told = judged(tmp_path, counted(forge(lines)), *keys)
    assert (code, "not signed by this system" in told or "something in it was altered" in told) == (1, True), told


@pytest.mark.parametrize("end", ["", '{"end":{"rows":16,"seals":4,"unsealed":0}}\n'])
def test_a_file_whose_end_nobody_signed(tmp_path: Path, end: str) -> None:
    code, told = judged(tmp_path, "".join(lines_of(small())[:-1]) + end, *TRUSTED)
    assert (code, "The file's end is not signed by this system" in told) == (1, True)


def test_rows_without_a_seal_are_told(tmp_path: Path) -> None:
    for items in (small()[:-1], [item for item in small() if item[0] == "row"]):
        many = 4 if len(items) > 16 else 16
        lines = lines_of(items)
        code, told = judged(tmp_path, "".join(lines), *TRUSTED)
        assert code == 0
        assert f"{many} rows at the end are not sealed; the file's signature alone vouches for them." in told
        code, told = judged(tmp_path, "".join(lines[:-1]), *TRUSTED)
        assert code == 1
        assert f"{many} rows at the end are not sealed, and nothing vouches for them." in told


def test_part_of_a_journal_is_held_against_its_seals_and_its_end(tmp_path: Path) -> None:
    part = [item for item in small() if item[0] == "seal" or item[1]["id"] % 3 == 0]
    lines = lines_of(part, complete=False, filtered_by={"q": "x"})
    assert judged(tmp_path, "".join(lines), *TRUSTED)[0] == 0
    assert judged(tmp_path, "".join(lines).replace('"q":"x"', '"q":"y"'), *TRUSTED)[0] == 1
    part[at(part, 9)] = ("row", {**row(9), "reason": "another"})  # in the database, before it was exported
    code, told = judged(tmp_path, "".join(lines_of(part, complete=False)), *TRUSTED)
    assert (code, "Row 9 was altered after it was sealed." in told) == (1, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"id":5,', '"id":5.0,'), ('"id":5,', '"id":true,'), ('"id":5,', '"id":[],'), ('"id":5,', f'"id":{2**63},'),
     ('"id":5,', '"id":5,"id":6,'), ('"late":false,"origin', '"origin'), ('{"row"', '{"more":1,"row"'),
     ('{"row":{', '{"row":[{'), ('"data":{', '"data":' + '{"a":' * 900 + "{"), ('"verb"', '"verb":1e999,"v"'), ("\n", "\n\n")],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, old: str, new: str) -> None:
    lines = lines_of(small())
    lines[3] = lines[3].replace(old, new, 1)
    code, told = judged(tmp_path, "".join(lines), *TRUSTED)
    assert (code, f"line {5 if new.isspace() else 4} " in told) == (2, True), told


@pytest.mark.parametrize(
    ("old", "new"),
    [('"first_id":3', '"first_id":"3"'), ('"count":4', '"count":4.5'), ('"number":1', '"number":null'), ('"digest":"', '"digest":"\\u001b'),
     ('"key":"', '"key":"\\ud800'), ('"witness":"', '"witness":{},"w":"')],
)  # fmt: skip
def test_a_seal_that_cannot_be_read_is_named(tmp_path: Path, old: str, new: str) -> None:
    lines = lines_of(small())
    lines[5] = lines[5].replace(old, new, 1)
    code, told = judged(tmp_path, "".join(lines), *TRUSTED)
    assert (code, "line 6 " in told) == (2, True), told


@pytest.mark.parametrize(
    "head",
    ["[]", "{}", '{"journal":"robotctl","version":1}', '{"public_keys":5}', '{"public_keys":[[]]}', '{"complete":1}'],
)
def test_a_head_that_cannot_be_read(tmp_path: Path, head: str) -> None:
    lines = lines_of(small())
    given, body = json.loads(head), json.loads(lines[0])
    if isinstance(given, dict) and set(given) & {"public_keys", "complete"}:
        head = json.dumps(body | given)
    code, told = judged(tmp_path, head + "\n" + "".join(lines[1:]))
    assert (code, "line 1 " in told) == (2, True), told


tokens = st.sampled_from(
    [b"null", b"1.5", b"-1", b"1e999", b'"\\ud800"', b"[]", b"{}", b"\n", b" ", b"\xff", b"{", b'"', b",", b"true", b"\x1f\x8b"]
)  # fmt: skip


@functools.cache
def genuine(length: int) -> bytes:
    return "".join(lines_of(small()[:length])).encode()


def is_genuine(whole: bytes) -> bool:
    return any(whole == genuine(length) for length in range(21))


@st.composite
def mutations(draw: Any) -> bytes:
    """A file to which something was done, anywhere: bytes, values, lines."""
    whole = genuine(draw(st.integers(0, 20)))
    for _ in range(draw(st.integers(1, 3))):
        kind, place = draw(st.sampled_from(["flip", "cut", "put", "value", "lines"])), draw(st.integers(0, len(whole)))
        length = draw(st.integers(0, 40))
        if kind == "flip" and place < len(whole):
            whole = whole[:place] + bytes([whole[place] ^ draw(st.integers(1, 255))]) + whole[place + 1 :]
        elif kind == "cut":
            whole = whole[:place] + whole[place + length :]
        elif kind == "put":
            whole = whole[:place] + draw(tokens | st.binary(max_size=8)) + whole[place:]
        elif kind == "value":
            found = [one.span(1) for one in re.finditer(rb':("[^"]*"|[0-9.-]+|null|true|false)', whole)] or [(0, 0)]
            begin, end = draw(st.sampled_from(found))
            whole = whole[:begin] + draw(tokens) + whole[end:]
        else:
            lines = whole.splitlines(keepends=True)
            draw(st.randoms(use_true_random=False)).shuffle(lines)
            whole = b"".join(lines[: draw(st.integers(0, len(lines)))])
    return whole


@settings(max_examples=600, deadline=None)
@given(whole=mutations(), keyed=st.booleans())
def test_nothing_that_is_done_to_a_file_passes_or_is_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, *, keyed: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    code, told = judged(folder, whole, *(TRUSTED if keyed else ()))
    assert (code == 0) == is_genuine(whole), told


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_a_packed_file_that_is_damaged_is_no_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, place: int, bits: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gz"
    whole = bytearray(gzip.compress(genuine(20), mtime=0))
    whole[place % len(whole)] ^= bits
    path.write_bytes(whole)
    if verify.main([str(path)]) == verify.INTACT:
        assert gzip.decompress(whole) == genuine(20)
