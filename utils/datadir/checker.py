"""The checks that every table of a data directory goes through: the first fault ends the program as file:line."""

import functools
import re
from collections.abc import Iterator
from typing import NoReturn

import streams
import tables

PROGRAM = "validate_data_dir.sh"


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

    def same_keys(self, name: str, expected: streams.Keys, expected_name: str) -> None:
        """The keys of a table are exactly the expected ones; else a short difference."""
        differences = streams.compare(self.keys(name), expected)
        if differences is None:
            return
        missing = [tables.shown(item) for item in differences.missing]
        extra = [f"line {number} {tables.shown(item)}" for number, item in differences.extra]
        message = f"{self.directory.file(name)} and {expected_name} have different keys"
        for label, items, count in (
            (f"only in {expected_name}", missing, differences.num_missing),
            (f"only in {name}", extra, differences.num_extra),
        ):
            if items:
                more = ", ..." if count > len(items) else ""
                message += f"\n  {label} ({count}): {', '.join(items)}{more}"
        counts = f"{differences.num_have} keys against {differences.num_want}"
        message += f"\n  ({counts}; {self.fixable()} to keep the common ones)"
        tables.fail(PROGRAM, message)

    def known_keys(self, name: str, known: streams.Keys, known_name: str) -> None:
        """Every key of a table is known."""
        unknown = streams.first_unknown(self.keys(name)(), known())
        if unknown:
            number, item = unknown
            self.fault(name, number, f"'{tables.shown(item)}' is not in {known_name}; {self.fixable()}")
