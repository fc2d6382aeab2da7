"""A data directory -> the same directory sorted, without duplicates, with the utterances that all its tables have.

The tables as they were are kept in .backup. Nothing is written before everything has been worked out.
"""

import os

import tables

PROGRAM = "fix_data_dir.sh"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Tables:
    """All known tables of a directory in memory, cleaned; changed ones are written by save()."""

    def __init__(self, directory: tables.Directory, extra_utterance: list[str], extra_speaker: list[str]):
        self.directory = directory
        self.by_utterance = [name for name in (*tables.BY_UTTERANCE, *extra_utterance) if directory.has(name)]
        self.by_speaker = [name for name in (*tables.BY_SPEAKER, *extra_speaker) if directory.has(name)]
        self.by_recording = [name for name in tables.BY_RECORDING if directory.has(name)]
        names = ["utt2spk", *self.by_utterance, *self.by_speaker, *self.by_recording]
        names += ["spk2utt"] if directory.has("spk2utt") else []
        self.original = {name: self.read_raw(name) for name in names}
        self.lines = {name: self.clean(name, lines) for name, lines in self.original.items()}

    def read_raw(self, name: str) -> tables.Lines:
        with open(self.directory.file(name), "rb") as stream:
            return stream.readlines()

    def clean(self, name: str, lines: tables.Lines) -> tables.Lines:
        """Unix line ends, no empty line, sorted by key, the first line of each key (unless many are allowed)."""
        cleaned = [line.rstrip(b"\r\n") + b"\n" for line in lines]
        if cleaned and cleaned[0].startswith(BYTE_ORDER_MARK):
            cleaned[0] = cleaned[0][len(BYTE_ORDER_MARK) :]
        cleaned = [line for line in cleaned if not line.isspace()]
        if cleaned != lines:
            tables.say(PROGRAM, f"{self.directory.file(name)}: line ends or empty lines repaired")
        keys = tables.keys(cleaned)
        if keys == sorted(keys) and len(set(keys)) == len(keys):
            return cleaned
        ordered = tables.sort_by_key(cleaned)
        if name not in tables.MANY_LINES_PER_KEY:
            first: dict[bytes, bytes] = {}
            for line in ordered:
                first.setdefault(tables.key(line), line)
            ordered = list(first.values())
        if ordered != cleaned:
            tables.say(PROGRAM, f"file {self.directory.file(name)} is not in sorted order or not unique, sorting it")
        return ordered

    def filter(self, name: str, keys: set[bytes]) -> None:
        """Keep these keys of a table and say how many lines that leaves."""
        kept = tables.keep(self.lines[name], keys)
        if len(kept) != len(self.lines[name]):
            counts = f"from {len(self.lines[name])} to {len(kept)} lines"
            tables.say(PROGRAM, f"filtered {self.directory.file(name)} {counts}")
        self.lines[name] = kept

    def save(self) -> None:
        """Back up all tables, then write the changed ones."""
        backup = tables.Directory(self.directory.file(".backup"), PROGRAM)
        for name, lines in self.original.items():
            backup.write(name, lines)
        for name, lines in self.lines.items():
            if lines != self.original.get(name):
                self.directory.write(name, lines)
        tables.say(PROGRAM, f"old files are kept in {backup.path}")


def filter_recordings(data: Tables) -> None:
    """Segments whose recording exists, and recordings that a segment uses."""
    segments = data.lines["segments"]
    if "wav.scp" not in data.lines:
        tables.fail(PROGRAM, f"{data.directory.file('segments')} exists but not {data.directory.file('wav.scp')}")
    known = tables.recordings(segments) & set(tables.keys(data.lines["wav.scp"]))
    kept = [line for line in segments if line.split(None, 2)[1] in known]
    if len(kept) != len(segments):
        tables.say(PROGRAM, f"filtered {data.directory.file('segments')} from {len(segments)} to {len(kept)} lines")
    data.lines["segments"] = kept


def check_segments(data: Tables) -> None:
    for line in data.lines["segments"]:
        if len(line.split()) != 4:
            location = f"{data.directory.file('segments')}: '{tables.shown(line)}'"
            tables.fail(PROGRAM, f"{location}: expected 'utterance recording begin end'")


def common_utterances(data: Tables) -> set[bytes]:
    """The utterances that every table has which must have all of them, and whose speaker every speaker table has."""
    pairs = {}
    for line in data.lines["utt2spk"]:
        words = line.split()
        if len(words) != 2:
            location = f"{data.directory.file('utt2spk')}: '{tables.shown(line)}'"
            tables.fail(PROGRAM, f"{location}: expected 'utterance speaker'")
        pairs[words[0]] = words[1]
    required = [name for name in tables.REQUIRED_OF_UTTERANCE if name in data.lines]
    if "wav.scp" in data.lines and "segments" not in data.lines:
        required.append("wav.scp")
    common = set(pairs)
    for name in required:
        common &= set(tables.keys(data.lines[name]))
    for name in ("cmvn.scp", "spk2gender"):
        if name in data.lines:
            speakers = set(tables.keys(data.lines[name]))
            common = {utterance for utterance in common if pairs[utterance] in speakers}
    return common


def check_speaker_order(data: Tables) -> None:
    """Kaldi's programs need utt2spk sorted by speaker too; this cannot be repaired by sorting."""
    pairs = [tuple(line.split()[::-1]) for line in data.lines["utt2spk"]]
    if pairs != sorted(pairs):
        message = "utt2spk is not in sorted order when sorted first on speaker-id"
        tables.fail(PROGRAM, f"{message} (fix this by making speaker-ids prefixes of utt-ids)")


def main(arguments: list[str]) -> None:
    """<data-dir> <extra utterance tables> <extra speaker tables>; the extras are lists separated by spaces."""
    path, extra_utterance, extra_speaker = arguments
    directory = tables.Directory(path, PROGRAM)
    if not os.path.isdir(path):
        tables.fail(PROGRAM, f"no such directory {path}")
    directory.require("utt2spk")
    data = Tables(directory, extra_utterance.split(), extra_speaker.split())
    if "segments" in data.lines:
        check_segments(data)
        filter_recordings(data)
    utterances = common_utterances(data)
    if not utterances:
        tables.fail(PROGRAM, "no utterances remained: not proceeding further (nothing was changed)")
    total = len(data.lines["utt2spk"])
    data.lines["utt2spk"] = tables.keep(data.lines["utt2spk"], utterances)
    check_speaker_order(data)
    kept = f"all {total} utterances." if len(utterances) == total else f"{len(utterances)} utterances out of {total}"
    tables.say(PROGRAM, f"kept {kept}")
    for name in data.by_utterance:
        data.filter(name, utterances)
    data.lines["spk2utt"] = tables.sort_by_key(tables.spk2utt(data.lines["utt2spk"]))
    for name in data.by_speaker:
        data.filter(name, set(tables.keys(data.lines["spk2utt"])))
    recordings = tables.recordings(data.lines["segments"]) if "segments" in data.lines else utterances
    for name in data.by_recording:
        data.filter(name, recordings)
    data.save()
