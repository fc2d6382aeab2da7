"""The check of a data directory; the first fault is told as file:line with what to do."""

import functools
import os
import re
import sys
from itertools import groupby

import speakers
import streams
import tables
from checker import PROGRAM, Checker

USAGE = """usage: validate_data_dir.sh [--no-feats] [--no-text] [--no-wav] [--no-spk-sort] [--non-print] <data-dir>
--no-feats, --no-wav: feats.scp or wav.scp may be missing; where they are there they are checked.
--no-text: text may be missing, and is not looked at.
--no-spk-sort: utt2spk need not be sorted by speaker as well as by utterance.
--non-print: text may hold non-printable characters."""
OPTIONS = ("--no-feats", "--no-text", "--no-wav", "--no-spk-sort", "--non-print")
# White space that splits a line for some programs and not for others.
ODD_SPACE = re.compile("[\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
NON_PRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\ufffe\uffff]")
RESERVED_WORDS = (b"<s>", b"</s>", b"#0")  # Kaldi's language models own them


def check_text(checker: Checker, non_print: bool) -> None:
    """text: characters that break later programs, reserved words."""
    for number, line in checker.lines("text"):
        decoded = line.decode("utf-8")
        match = ODD_SPACE.search(decoded) or (None if non_print else NON_PRINTABLE.search(decoded))
        if match:
            space = ODD_SPACE.match(match.group())
            kind = "white space other than space and tab" if space else "non-printable character"
            checker.fault("text", number, f"{kind}: U+{ord(match.group()):04X}")
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
        if float(end) <= float(begin) and not tables.to_the_end(end):
            checker.fault("segments", number, f"the end {end.decode()} is not after the begin {begin.decode()}")
    checker.same_keys("segments", utterances, "utt2spk")
    named = (line.split(None, 2)[1] for _, line in checker.lines("segments"))
    changes = (recording + b"\n" for recording, _ in groupby(named))  # as a rule those of a recording stand together
    return functools.partial(streams.keys, checker.sorter.sort(changes, "-u"))


def check_wav(checker: Checker, recordings: streams.Keys) -> None:
    """wav.scp: a path or pipe for each recording, no tilde."""
    for number, line in checker.lines("wav.scp"):
        words = line.split(None, 1)
        if len(words) < 2:
            checker.fault("wav.scp", number, f"no file or command for '{tables.shown(line)}'")
        if words[1].startswith(b"~"):
            checker.fault("wav.scp", number, "write the path out: nothing expands the tilde (~)")
    checker.same_keys("wav.scp", recordings, "segments" if checker.directory.has("segments") else "utt2spk")


def check_rest(checker: Checker, recordings: streams.Keys, unchecked: tuple[str, ...]) -> None:
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
    for name, owner, keys in owners:
        if name in checker.counts or name in unchecked or not checker.load(name):
            continue
        if name in formats:
            checker.fields(name, *formats[name])
        if name in tables.MANY_LINES_PER_KEY:
            checker.known_keys(name, keys, owner)
        else:
            checker.same_keys(name, keys, owner)


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
    if "--no-text" not in options:
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
    check_rest(checker, recordings, ("text",) if "--no-text" in options else ())
    tables.say(PROGRAM, f"Successfully validated data-directory {arguments[0]}")
