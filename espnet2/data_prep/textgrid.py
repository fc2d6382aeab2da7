"""Praat TextGrids and .lab files in, their intervals out: alignments as others publish them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.tables import Phone
from espnet2.utils.errors import UserError

SILENCES = {"", "sil", "sp", "spn", "<eps>", "pau"}  # "" is a pause in newer MFA; spn is MFA's noise or unknown word
SILENCE = "SIL"  # in this toolkit
TOUCHING_SECONDS = 1e-3  # intervals nearer than this follow each other
TIME = r"([-+]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?)"  # some locales write a decimal comma
# Praat's manual, "TextGrid file formats": only free-standing numbers, texts in quotes (a quote in one is doubled) and
# flags count. All else (`xmin =`, `intervals [1]:`) is for people, and "!" begins a comment.
TOKEN = re.compile(rf'(?<!\S)(?:"(?P<text>(?:[^"]|"")*)"|{TIME}|<(?P<flag>\w+)>|(?P<comment>!.*))(?!\S)')
KIND, CLASS = "ooTextFile", "TextGrid"
INTERVALS, POINTS = "IntervalTier", "TextTier"


class Interval(NamedTuple):
    """A stretch of time with a label."""

    start_seconds: float
    end_seconds: float
    label: str


class _Token(NamedTuple):
    line: int
    value: str | float
    is_flag: bool


class _Reader:
    """The tokens of one file, each asked for by its kind."""

    def __init__(self, path: str | Path, text: str) -> None:
        self.path = path
        self.tokens = _tokens(text)
        self.line = 1

    def fail(self, expected: str, token: _Token | None) -> UserError:
        got = "the end of the file" if token is None else f"'{token.value}'"
        line = self.line if token is None else token.line
        return UserError(f"{self.path}:{line}: expected {expected}, got {got}: was the file cut short, or edited?")

    def take(self) -> _Token | None:
        token = next(self.tokens, None)
        if token is not None:
            self.line = token.line
        return token

    def text(self, what: str) -> str:
        token = self.take()
        if token is None or token.is_flag or not isinstance(token.value, str):
            raise self.fail(f"{what} in quotes", token)
        return token.value

    def number(self, what: str) -> float:
        token = self.take()
        if token is None or not isinstance(token.value, float):
            raise self.fail(what, token)
        return token.value

    def count(self, what: str) -> int:
        value = self.number(what)
        if value != int(value) or value < 0:
            raise UserError(f"{self.path}:{self.line}: expected {what}, got {value:g}")
        return int(value)


def _tokens(text: str) -> Iterator[_Token]:
    line, position = 1, 0
    for match in TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        if match["comment"] is not None:
            continue
        if match["text"] is not None:
            yield _Token(line, match["text"].replace('""', '"'), False)
        elif match["flag"] is not None:
            yield _Token(line, match["flag"], True)
        else:
            yield _Token(line, float(match[2].replace(",", ".")), False)


def read_textgrid(path: str | Path) -> dict[str, list[Interval]]:
    """The interval tiers of a TextGrid in the long or the short text form, by name; tiers of points are passed over.

    Raises:
        UserError: no TextGrid, not UTF-8 or UTF-16, without an interval tier, with two of one name, or with other
            counts than it declares.
    """
    reader = _Reader(path, _decoded(path))
    head = [reader.take(), reader.take()]
    if [token.value if token else "" for token in head] not in ([KIND, CLASS], [f"{KIND} short", CLASS]):
        raise UserError(f"{path}: expected a Praat TextGrid in its long or short text form (save it so in Praat)")
    begin, end = reader.number("the begin of the file"), reader.number("the end of the file")
    flag = reader.take()
    if flag is None or not flag.is_flag:
        raise reader.fail("<exists>", flag)
    tiers: dict[str, list[Interval]] = {}
    for number in range(1, 1 + (reader.count("the number of tiers") if flag.value == "exists" else 0)):
        name, intervals = _read_tier(reader, number)
        if intervals is None:
            continue
        if name in tiers:
            raise UserError(f"{path}:{reader.line}: a second tier '{name}'; rename one")
        tiers[name] = intervals
    extra = reader.take()
    if extra is not None:
        raise reader.fail("the end of the file, by the declared numbers of tiers and intervals", extra)
    if not tiers:
        raise UserError(f"{path}: expected an interval tier, found none")
    late = [item for items in tiers.values() for item in items if item.end_seconds > end + TOUCHING_SECONDS]
    if late and end > begin:
        raise UserError(f"{path}: '{late[0].label}' ends at {late[0].end_seconds:g} s, the file at {end:g} s")
    return tiers


def _read_tier(reader: _Reader, number: int) -> tuple[str, list[Interval] | None]:
    """Name and intervals of a tier; None for one of points."""
    kind, name = reader.text(f"the class of tier {number}"), reader.text(f"the name of tier {number}")
    if kind not in (INTERVALS, POINTS):
        raise UserError(f"{reader.path}:{reader.line}: tier {number} is a '{kind}'; known are {INTERVALS} and {POINTS}")
    reader.number("the begin of the tier")
    reader.number("the end of the tier")
    count = reader.count("the number of its items")
    if kind == POINTS:
        for _ in range(count):
            reader.number(f"the time of a point of '{name}'")
            reader.text(f"the mark of a point of '{name}'")
        return name, None
    intervals = []
    for _ in range(count):
        start = reader.number(f"the begin of one of the {count} intervals of '{name}'")
        end = reader.number("the end of that interval")
        intervals.append(Interval(start, end, reader.text("the text of that interval").strip()))
    return name, intervals


def _decoded(path: str | Path) -> str:
    data = Path(path).read_bytes()
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither UTF-8 nor UTF-16; save it as UTF-8") from None


def read_lab(path: str | Path) -> list[Interval]:
    """The lines "<start s> <end s> <label>" of a .lab file; a line without a label is a pause.

    Raises:
        UserError: a line has another form.
    """
    intervals = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8-sig").splitlines(), 1):
        match = re.fullmatch(rf"\s*{TIME}\s+{TIME}(?:\s+(\S.*?))?\s*", line)
        if match:
            start, end = (float(text.replace(",", ".")) for text in (match[1], match[2]))
            intervals.append(Interval(start, end, match[3] or ""))
        elif line.strip():
            raise UserError(f"{path}:{number}: expected '<start seconds> <end seconds> <label>', got '{line[:80]}'")
    return intervals


def phones_of(intervals: list[Interval], path: str | Path) -> tuple[Phone, ...]:
    """The phones of an alignment: silences are SIL, touching ones are one, stress digits ("AH0") go, empty ones too.

    What no interval covers stays without a phone.

    Raises:
        UserError: the times go back, or a label has blanks.
    """
    phones: list[Phone] = []
    for start, end, label in intervals:
        if phones and start < phones[-1].end_seconds - TOUCHING_SECONDS:
            raise UserError(f"{path}: '{label}' at {start} s begins before the phone before it ends")
        name = SILENCE if label.lower() in SILENCES else re.sub(r"(?<=[A-Z])[012]$", "", label)
        if len(name.split()) != 1:
            raise UserError(f"{path}: the label '{label}' at {start} s has blanks: is it the tier of the words?")
        touches = bool(phones) and start - phones[-1].end_seconds < TOUCHING_SECONDS
        if name == SILENCE and touches and phones[-1].label == SILENCE:
            start = phones.pop().start_seconds
        if end > start:
            phones.append(Phone(start, end, name))
    return tuple(phones)
