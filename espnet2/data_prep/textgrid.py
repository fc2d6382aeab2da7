"""A Praat TextGrid or a .lab file in, its intervals out: alignments as others publish them."""

import re
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.tables import Phone
from espnet2.utils.errors import UserError

SILENCES = {"", "sil", "sp", "spn", "<eps>", "pau"}  # "" is a pause in newer MFA; spn is MFA's noise or unknown word
SILENCE = "SIL"  # in this toolkit
TIME = r"(\d+(?:\.\d+)?(?:[eE]-?\d+)?)"
LABEL = r'"((?:[^"]|"")*)"'  # Praat doubles a quote in a label
TIER = re.compile(rf'"IntervalTier"\s+(?:name\s*=\s*)?{LABEL}')
# The long form has names ("xmin = 0"), the short one values only.
INTERVAL = re.compile(rf"(?:xmin\s*=\s*)?{TIME}\s+(?:xmax\s*=\s*)?{TIME}\s+(?:text\s*=\s*)?{LABEL}")


class Interval(NamedTuple):
    """A stretch of time with a label."""

    start_seconds: float
    end_seconds: float
    label: str


def read_textgrid(path: str | Path) -> dict[str, list[Interval]]:
    """The interval tiers of a TextGrid in the long or the short text form, by name.

    Raises:
        UserError: no TextGrid, not UTF-8 or UTF-16, or without an interval tier.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: neither UTF-8 nor UTF-16") from None
    starts = list(TIER.finditer(text))
    if '"TextGrid"' not in text or not starts:
        raise UserError(f"{path}: expected a Praat TextGrid (text form) with an interval tier")
    tiers = {}
    for tier, end_of_tier in zip(starts, [*(match.start() for match in starts[1:]), len(text)], strict=True):
        found = INTERVAL.findall(text, tier.end(), end_of_tier)
        tiers[tier[1].replace('""', '"')] = [
            Interval(float(start), float(end), label.replace('""', '"').strip()) for start, end, label in found
        ]
    return tiers


def read_lab(path: str | Path) -> list[Interval]:
    """The lines "<start s> <end s> <label>" of a .lab file; a line without a label is a pause.

    Raises:
        UserError: a line has another form.
    """
    intervals = []
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        match = re.fullmatch(rf"\s*{TIME}\s+{TIME}(?:\s+(\S.*?))?\s*", line)
        if match:
            intervals.append(Interval(float(match[1]), float(match[2]), match[3] or ""))
        elif line.strip():
            raise UserError(f"{path}:{number}: expected '<start seconds> <end seconds> <label>', got '{line[:80]}'")
    return intervals


def phones_of(intervals: list[Interval], path: str | Path) -> tuple[Phone, ...]:
    """The phones of an alignment: silences are SIL, silences in a row one, stress digits ("AH0") go, empty ones too.

    Raises:
        UserError: the times go back, or a label has blanks.
    """
    phones: list[Phone] = []
    for start, end, label in intervals:
        if phones and start < phones[-1].end_seconds - 1e-3:
            raise UserError(f"{path}: '{label}' at {start} s begins before the phone before it ends")
        name = SILENCE if label.lower() in SILENCES else re.sub(r"(?<=[A-Z])[012]$", "", label)
        if len(name.split()) != 1:
            raise UserError(f"{path}: the label '{label}' at {start} s has blanks: is it the tier of the words?")
        if name == SILENCE and phones and phones[-1].label == SILENCE:
            start = phones.pop().start_seconds
        if end > start:
            phones.append(Phone(start, end, name))
    return tuple(phones)
