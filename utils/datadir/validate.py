"""A data directory -> nothing where it is well formed, else the first fault as file:line with what to do."""

import functools
import os
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import NoReturn

import speakers
import streams
import tables

PROGRAM = "validate_data_dir.sh"
USAGE = """usage: validate_data_dir.sh [--no-feats] [--no-text] [--no-wav] [--no-spk-sort] [--non-print] <data-dir>
The --no-xxx options allow a directory without feats.scp, text or wav.scp; where they are present they are checked.
--no-spk-sort: utt2spk need not be sorted by speaker as well as by utterance.
--non-print: text may hold non-printable characters."""
OPTIONS = ("--no-feats", "--no-text", "--no-wav", "--no-spk-sort", "--non-print")
# White space that splits a line for some programs and not for others.
ODD_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
NON_PRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ufffe\uffff]")
RESERVED_WORDS = (b"<s>", b"</s>", b"#0")  # Kaldi's language models own them


class Checker:
    """The checks of one directory; every method ends the program at the first fault.

    Nothing that grows with the directory is held: tables are read line by line, once for each check, and compared in
    step, because they are sorted. The order is checked first of all.
    """

    def __init__(self, path: str):
        self.directory = tables.Directory(path, PROGRAM)
        self.counts: dict[str, int] = {}  # lines of each table that was loaded
        self.sorter = streams.Sorter()

    def fault(self, name: str, number: int, message: str) -> NoReturn:
        tables.fail(PROGRAM, f"{self.directory.file(name)}:{number}: {message}")

    def fixable(self) -> str:
        return f"run utils/fix_data_dir.sh {self.directory.path}"

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """Number, from 1, and line."""
        return enumerate(streams.lines(self.directory.file(name)), 1)

    def keys(self, name: str) -> streams.Keys:
        return functools.partial(streams.keys, self.directory.file(name))

    def load(self, name: str) -> bool:
        """Check encoding, line ends, order and duplicates of a table. Returns False where there is none."""
        if not self.directory.has(name):
            return False
        # What matters most is told first, wherever it stands; of each kind the first.
        returned = unended = empty = disorder = None
        many = name in tables.MANY_LINES_PER_KEY
        starts_with_mark = False
        before, number = b"", 0
        for number, line in self.lines(name):
            self.check_encoding(name, number, line)
            starts_with_mark = starts_with_mark or (number == 1 and line.startswith(b"\xef\xbb\xbf"))
            if returned is None and b"\r" in line:
                returned = number
            if not line.endswith(b"\n"):
                unended = number
            if line.isspace():
                empty = empty or number
            elif empty is None and disorder is None:
                key = line.split(None, 1)[0]
                if key <= before and number > 1 and not (many and key == before):
                    disorder = (number, key, before)
                before = key
        if number == 0 and not many:
            tables.fail(PROGRAM, f"empty file {self.directory.file(name)}: expected a line for each utterance")
        if returned:
            self.fault(name, returned, f"carriage return (a file from Windows?); {self.fixable()}")
        if starts_with_mark:
            self.fault(name, 1, f"starts with a byte order mark; {self.fixable()}")
        if unended:
            self.fault(name, unended, f"the last line has no newline; {self.fixable()}")
        if empty:
            self.fault(name, empty, f"empty line; {self.fixable()}")
        if disorder:
            self.report_disorder(name, *disorder)
        self.counts[name] = number
        return True

    def check_encoding(self, name: str, number: int, line: bytes) -> None:
        if line.isascii():
            return
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            self.fault(name, number, f"not UTF-8 (byte 0x{line[error.start]:02x}); convert it with iconv")

    def report_disorder(self, name: str, number: int, key: bytes, before: bytes) -> NoReturn:
        """Keys ascend in C order; they are unique but in the tables with several lines per key."""
        here = tables.shown(key)
        if key == before:
            self.fault(name, number, f"duplicate key '{here}'; {self.fixable()}")
        message = f"'{here}' after '{tables.shown(before)}' is not in sorted order (LC_ALL=C); {self.fixable()}"
        self.fault(name, number, message)

    def require(self, name: str, option: str = "") -> bool:
        """Load a table; where it is missing and no option allows that, end."""
        if not self.directory.has(name) and option:
            tables.fail(PROGRAM, f"no such file {self.directory.file(name)} (if this is by design, specify {option})")
        if not self.directory.has(name):
            tables.fail(PROGRAM, f"no such file {self.directory.file(name)}")
        return self.load(name)

    def fields(self, name: str, pattern: str, expected: str) -> None:
        """Every line matches the pattern (of bytes, without the newline)."""
        matches = re.compile(pattern.encode() + rb"\s*\Z").match
        for number, line in self.lines(name):
            if not matches(line):
                self.fault(name, number, f"expected '{expected}', got '{tables.shown(line)}'")

    def same_keys(self, name: str, wanted: streams.Keys, wanted_name: str) -> None:
        """The keys of a table are exactly the wanted ones; else a short difference."""
        found = streams.compare(self.keys(name), wanted)
        if found is None:
            return
        missing = [tables.shown(item) for item in found.missing]
        extra = [f"line {number} {tables.shown(item)}" for number, item in found.extra]
        message = f"{self.directory.file(name)} and {wanted_name} have different keys"
        for label, items, count in (
            (f"only in {wanted_name}", missing, found.num_missing),
            (f"only in {name}", extra, found.num_extra),
        ):
            if items:
                more = ", ..." if count > len(items) else ""
                message += f"\n  {label} ({count}): {', '.join(items)}{more}"
        message += f"\n  ({found.num_have} keys against {found.num_want}; {self.fixable()} to keep the common ones)"
        tables.fail(PROGRAM, message)

    def known_keys(self, name: str, known: streams.Keys, known_name: str) -> None:
        """Every key of a table is known."""
        unknown = streams.first_unknown(self.keys(name)(), known())
        if unknown:
            number, item = unknown
            self.fault(name, number, f"'{tables.shown(item)}' is not in {known_name}; {self.fixable()}")


def check_text(checker: Checker, non_print: bool) -> None:
    """text: characters that break later programs, reserved words."""
    for number, line in checker.lines("text"):
        decoded = line.decode("utf-8")
        found = ODD_SPACE.search(decoded) or (None if non_print else NON_PRINTABLE.search(decoded))
        if found:
            space = ODD_SPACE.match(found.group())
            kind = "white space other than space and tab" if space else "non-printable character"
            checker.fault("text", number, f"{kind}: U+{ord(found.group()):04X}")
        if b"<" in line or b"#" in line:
            for word in RESERVED_WORDS:
                if word in line.split():
                    checker.fault("text", number, f"illegal symbol {word.decode()}")


def check_recordings(checker: Checker) -> streams.Keys:
    """wav.scp and segments. Returns the ids that wav.scp must have, in order."""
    utterances = checker.keys("utt2spk")
    if checker.directory.has("segments") and not checker.directory.has("wav.scp"):
        tables.fail(PROGRAM, f"{checker.directory.file('segments')} exists but there is no wav.scp")
    if not checker.load("segments"):
        return utterances
    number_pattern = r"-?[0-9.]+(?:[eE][-+]?\d+)?"
    checker.fields("segments", rf"\S+\s+\S+\s+{number_pattern}\s+{number_pattern}", "utterance recording begin end")
    for number, line in checker.lines("segments"):
        _, _, begin, end = line.split()
        if float(end) <= float(begin):
            checker.fault("segments", number, f"the end {end.decode()} is not after the begin {begin.decode()}")
    checker.same_keys("segments", utterances, "utt2spk")
    named = (line.split(None, 2)[1] for _, line in checker.lines("segments"))
    changes = (recording + b"\n" for recording, _ in groupby(named))  # as a rule those of a recording stand together
    return functools.partial(streams.keys, checker.sorter.sort(changes, "-u"))


def check_wav(checker: Checker, wanted: streams.Keys) -> None:
    """wav.scp: a path or pipe for each recording, no tilde."""
    for number, line in checker.lines("wav.scp"):
        words = line.split(None, 1)
        if len(words) < 2:
            checker.fault("wav.scp", number, f"no file or command for '{tables.shown(line)}'")
        if words[1].startswith(b"~"):
            checker.fault("wav.scp", number, "write the path out: nothing expands the tilde (~)")
    checker.same_keys("wav.scp", wanted, "segments" if checker.directory.has("segments") else "utt2spk")


def check_rest(checker: Checker, recordings: streams.Keys) -> None:
    """All other tables that are there: format and keys."""
    positive = r"\S+\s+(?=[0-9.eE+-]*[1-9])\+?[0-9.]+(?:[eE][-+]?\d+)?"
    formats = {
        "spk2gender": (r"\S+\s+[mf]", "speaker m|f"),
        "utt2dur": (positive, "utterance seconds (above 0)"),
        "reco2dur": (positive, "recording seconds (above 0)"),
        "utt2num_frames": (r"\S+\s+0*[1-9]\d*", "utterance frames (above 0)"),
        "utt2num_samples": (r"\S+\s+0*[1-9]\d*", "utterance samples (above 0)"),
        "spk2warp": (r"\S+\s+(?:0?\.[5-9]\d*|1(?:\.[0-4]\d*)?)", "speaker factor (0.5 to 1.5)"),
        "utt2warp": (r"\S+\s+(?:0?\.[5-9]\d*|1(?:\.[0-4]\d*)?)", "utterance factor (0.5 to 1.5)"),
        "reco2file_and_channel": (r"\S+\s+\S+\s+[AB1]", "recording file A|B"),
        "utt2lang": (r"\S+\s+\S+", "utterance language"),
        "phones.ctm": (
            r"\S+\s+\S+\s+[0-9.]+\s+[0-9.]+\s+\S+(?:\s+[0-9.eE-]+)?",
            "utterance channel begin duration phone",
        ),
    }
    owners = [(name, "utt2spk", checker.keys("utt2spk")) for name in tables.BY_UTTERANCE]
    owners += [(name, "spk2utt", checker.keys("spk2utt")) for name in tables.BY_SPEAKER]
    owners += [(name, "the recordings", recordings) for name in tables.BY_RECORDING]
    for name, owner, wanted in owners:
        if name in checker.counts or not checker.load(name):
            continue
        if name in formats:
            checker.fields(name, *formats[name])
        if name in tables.MANY_LINES_PER_KEY:
            checker.known_keys(name, wanted, owner)
        else:
            checker.same_keys(name, wanted, owner)


def main(arguments: list[str]) -> None:
    options = set()
    while arguments and arguments[0] in OPTIONS:
        options.add(arguments.pop(0))
    if len(arguments) != 1 or arguments[0].startswith("--"):
        print(USAGE, file=sys.stderr)
        sys.exit(1)
    checker = Checker(arguments[0])
    if not os.path.isdir(arguments[0]):
        tables.fail(PROGRAM, f"no such directory {arguments[0]}")
    speakers.check(checker, "--no-spk-sort" not in options)
    if "--no-text" not in options or checker.directory.has("text"):
        checker.require("text", "--no-text")
        check_text(checker, "--non-print" in options)
        checker.same_keys("text", checker.keys("utt2spk"), "utt2spk")
    recordings = check_recordings(checker)
    if "--no-wav" not in options or checker.directory.has("wav.scp"):
        checker.require("wav.scp", "--no-wav")
        check_wav(checker, recordings)
    if "--no-feats" not in options or checker.directory.has("feats.scp"):
        checker.require("feats.scp", "--no-feats")
        checker.same_keys("feats.scp", checker.keys("utt2spk"), "utt2spk")
    check_rest(checker, recordings)
    tables.say(PROGRAM, f"Successfully validated data-directory {arguments[0]}")
