"""A data directory -> nothing where it is well formed, else the first fault as file:line with what to do."""

import io
import os
import re
import sys
from typing import NoReturn

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
SHOWN_DIFFERENCES = 3


class Checker:
    """The checks of one directory; every method ends the program at the first fault."""

    def __init__(self, path: str):
        self.directory = tables.Directory(path, PROGRAM)
        self.lines: dict[str, tables.Lines] = {}
        self.keys: dict[str, list[bytes]] = {}

    def fault(self, name: str, number: int, message: str) -> NoReturn:
        tables.fail(PROGRAM, f"{self.directory.file(name)}:{number}: {message}")

    def fixable(self) -> str:
        return f"run utils/fix_data_dir.sh {self.directory.path}"

    def load(self, name: str) -> bool:
        """Read a table and check encoding, line ends, order and duplicates. Returns False where there is none."""
        if not self.directory.has(name):
            return False
        with open(self.directory.file(name), "rb") as stream:
            data = stream.read()
        if not data and name not in tables.MANY_LINES_PER_KEY:
            tables.fail(PROGRAM, f"empty file {self.directory.file(name)}: expected a line for each utterance")
        self.check_bytes(name, data)
        lines = self.lines[name] = io.BytesIO(data).readlines()
        for number, line in enumerate(lines, 1):
            if line.isspace():
                self.fault(name, number, f"empty line; {self.fixable()}")
        self.keys[name] = tables.keys(lines)
        self.check_order(name)
        return True

    def check_bytes(self, name: str, data: bytes) -> None:
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            number = data.count(b"\n", 0, error.start) + 1
            self.fault(name, number, f"not UTF-8 (byte 0x{data[error.start]:02x}); convert it with iconv")
        if b"\r" in data:
            number = data.count(b"\n", 0, data.index(b"\r")) + 1
            self.fault(name, number, f"carriage return (a file from Windows?); {self.fixable()}")
        if data.startswith(b"\xef\xbb\xbf"):
            self.fault(name, 1, f"starts with a byte order mark; {self.fixable()}")
        if data and not data.endswith(b"\n"):
            self.fault(name, data.count(b"\n") + 1, f"the last line has no newline; {self.fixable()}")

    def check_order(self, name: str) -> None:
        """Keys ascend in C order; they are unique but in the tables with several lines per key."""
        keys, many = self.keys[name], name in tables.MANY_LINES_PER_KEY
        if keys == sorted(keys) and (many or len(set(keys)) == len(keys)):
            return
        for number in range(1, len(keys)):
            before, here = tables.shown(keys[number - 1]), tables.shown(keys[number])
            if keys[number - 1] == keys[number] and not many:
                self.fault(name, number + 1, f"duplicate key '{here}'; {self.fixable()}")
            if keys[number - 1] > keys[number]:
                message = f"'{here}' after '{before}' is not in sorted order (LC_ALL=C); {self.fixable()}"
                self.fault(name, number + 1, message)

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
        for number, line in enumerate(self.lines[name], 1):
            if not matches(line):
                self.fault(name, number, f"expected '{expected}', got '{tables.shown(line)}'")

    def same_keys(self, name: str, wanted: list[bytes], wanted_name: str) -> None:
        """The keys of a table are exactly the wanted ones; else a short difference."""
        if self.keys[name] == wanted:
            return
        have, want = set(self.keys[name]), set(wanted)
        missing = [tables.shown(item) for item in wanted if item not in have]
        extra = [
            f"line {number} {tables.shown(item)}" for number, item in enumerate(self.keys[name], 1) if item not in want
        ]
        message = f"{self.directory.file(name)} and {wanted_name} have different keys"
        for label, items in ((f"only in {wanted_name}", missing), (f"only in {name}", extra)):
            if items:
                more = ", ..." if len(items) > SHOWN_DIFFERENCES else ""
                message += f"\n  {label} ({len(items)}): {', '.join(items[:SHOWN_DIFFERENCES])}{more}"
        message += f"\n  ({len(have)} keys against {len(want)}; {self.fixable()} to keep the common ones)"
        tables.fail(PROGRAM, message)

    def known_keys(self, name: str, known: list[bytes], known_name: str) -> None:
        """Every key of a table is known."""
        table = set(known)
        for number, item in enumerate(self.keys[name], 1):
            if item not in table:
                self.fault(name, number, f"'{tables.shown(item)}' is not in {known_name}; {self.fixable()}")


def check_speakers(checker: Checker, speaker_sort: bool) -> None:
    """utt2spk and spk2utt: format, both orders, and that they say the same."""
    for name in ("utt2spk", "spk2utt"):
        checker.require(name)
    checker.fields("utt2spk", r"\S+\s+\S+", "utterance speaker")
    if speaker_sort:
        before = (b"", b"")
        for number, line in enumerate(checker.lines["utt2spk"], 1):
            utterance, speaker = line.split()
            if (speaker, utterance) < before:
                message = "not in sorted order when sorted first by speaker: make speaker ids prefixes of utterance ids"
                checker.fault("utt2spk", number, f"{message} (or specify --no-spk-sort)")
            before = (speaker, utterance)
    pairs = dict(line.split() for line in checker.lines["utt2spk"])
    seen = 0
    for number, line in enumerate(checker.lines["spk2utt"], 1):
        speaker, *spoken = line.split()
        seen += len(spoken)
        for utterance in spoken:
            if pairs.get(utterance) != speaker:
                message = f"utt2spk does not give '{tables.shown(utterance)}' to speaker '{tables.shown(speaker)}'"
                checker.fault("spk2utt", number, f"{message}; {checker.fixable()}")
    if seen != len(pairs):
        counts = f"it has {seen} utterances, utt2spk has {len(pairs)}"
        tables.fail(PROGRAM, f"{checker.directory.file('spk2utt')}: {counts}; {checker.fixable()}")
    if len(checker.lines["spk2utt"]) == 1:
        print(f"{PROGRAM}: warning: {checker.directory.path} has one speaker only", file=sys.stderr)


def check_text(checker: Checker, non_print: bool) -> None:
    """text: characters that break later programs, reserved words."""
    for number, line in enumerate(checker.lines["text"], 1):
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


def check_recordings(checker: Checker) -> list[bytes]:
    """wav.scp and segments. Returns the ids that wav.scp must have, in order."""
    utterances = checker.keys["utt2spk"]
    if checker.directory.has("segments") and not checker.directory.has("wav.scp"):
        tables.fail(PROGRAM, f"{checker.directory.file('segments')} exists but there is no wav.scp")
    if not checker.load("segments"):
        return utterances
    number_pattern = r"-?[0-9.]+(?:[eE][-+]?\d+)?"
    checker.fields("segments", rf"\S+\s+\S+\s+{number_pattern}\s+{number_pattern}", "utterance recording begin end")
    for number, line in enumerate(checker.lines["segments"], 1):
        _, _, begin, end = line.split()
        if float(end) <= float(begin):
            checker.fault("segments", number, f"the end {end.decode()} is not after the begin {begin.decode()}")
    checker.same_keys("segments", utterances, "utt2spk")
    return sorted(tables.recordings(checker.lines["segments"]))


def check_wav(checker: Checker, wanted: list[bytes]) -> None:
    """wav.scp: a path or pipe for each recording, no tilde."""
    for number, line in enumerate(checker.lines["wav.scp"], 1):
        words = line.split(None, 1)
        if len(words) < 2:
            checker.fault("wav.scp", number, f"no file or command for '{tables.shown(line)}'")
        if words[1].startswith(b"~"):
            checker.fault("wav.scp", number, "write the path out: nothing expands the tilde (~)")
    checker.same_keys("wav.scp", wanted, "segments" if checker.directory.has("segments") else "utt2spk")


def check_rest(checker: Checker, recordings: list[bytes]) -> None:
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
    owners = [(name, "utt2spk", checker.keys["utt2spk"]) for name in tables.BY_UTTERANCE]
    owners += [(name, "spk2utt", checker.keys["spk2utt"]) for name in tables.BY_SPEAKER]
    owners += [(name, "the recordings", recordings) for name in tables.BY_RECORDING]
    for name, owner, wanted in owners:
        if name in checker.keys or not checker.load(name):
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
    check_speakers(checker, "--no-spk-sort" not in options)
    if "--no-text" not in options or checker.directory.has("text"):
        checker.require("text", "--no-text")
        check_text(checker, "--non-print" in options)
        checker.same_keys("text", checker.keys["utt2spk"], "utt2spk")
    recordings = check_recordings(checker)
    if "--no-wav" not in options or checker.directory.has("wav.scp"):
        checker.require("wav.scp", "--no-wav")
        check_wav(checker, recordings)
    if "--no-feats" not in options or checker.directory.has("feats.scp"):
        checker.require("feats.scp", "--no-feats")
        checker.same_keys("feats.scp", checker.keys["utt2spk"], "utt2spk")
    check_rest(checker, recordings)
    tables.say(PROGRAM, f"Successfully validated data-directory {arguments[0]}")
