"""The tables of a Kaldi data directory: which exist, what their first field is, how they are read and written.

A table is a list of lines (bytes with the newline); its key is the first field. Order is that of the C locale.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

Lines = list[bytes]

# Tables by the meaning of their first field. Recordings are utterances where there is no segments file.
BY_UTTERANCE = (
    "text", "segments", "feats.scp", "vad.scp", "utt2lang", "utt2dur", "utt2num_frames",
    "utt2num_samples", "utt2uniq", "utt2warp", "utt2category", "phones.ctm",
)  # fmt: skip
BY_SPEAKER = ("spk2gender", "spk2warp", "cmvn.scp")
BY_RECORDING = ("wav.scp", "reco2dur", "reco2file_and_channel")
# The rest of a line is a path, an entry of an archive, or a pipe.
OF_PATHS = ("wav.scp", "feats.scp", "vad.scp", "cmvn.scp")
# Several lines may have the same key here.
MANY_LINES_PER_KEY = ("phones.ctm",)
# Copied as they are; a subset keeps only its recordings' lines of stm, and loses the comments, as in Kaldi.
WITHOUT_KEY = ("frame_shift", "glm", "ctm", "stm")
# Kaldi keeps an utterance only if it is in all of these that exist.
REQUIRED_OF_UTTERANCE = ("feats.scp", "text", "segments", "utt2lang")


class Directory:
    """A data directory; program is the name of the script, for its messages."""

    def __init__(self, path: str, program: str):
        self.path = path
        self.program = program

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def has(self, name: str) -> bool:
        return os.path.isfile(self.file(name))

    def read(self, name: str) -> Lines:
        """The lines of a table; a last line without newline gets one. An empty line is an error."""
        with open(self.file(name), "rb") as stream:
            lines = stream.readlines()
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        for number, line in enumerate(lines, 1):
            if line.isspace():
                fail(self.program, f"{self.file(name)}:{number}: empty line; run utils/fix_data_dir.sh {self.path}")
        return lines

    def read_from_here(self, name: str) -> Lines:
        """The lines of a table for a directory of this recipe; relative paths of another recipe lead there, as is said.

        Recipes write paths relative to the folder that holds their `data/`, which programs run in. A path that exists
        here stays; pipes stay as they are.
        """
        lines = self.read(name)
        if name not in OF_PATHS or not os.path.relpath(self.path).startswith(os.pardir):
            return lines
        missing = [path for path in map(relative_path, lines) if path and not os.path.exists(path)]
        folder = os.path.dirname(os.path.abspath(self.path))
        while missing and not os.path.exists(os.path.join(folder, os.fsdecode(missing[0]))):
            if folder == os.path.dirname(folder):
                return lines
            folder = os.path.dirname(folder)
        if not missing:
            return lines
        root = os.path.relpath(folder)
        moved = frozenset(missing)
        say(self.program, f"{self.file(name)}: {len(missing)} paths are relative to {root}: written as {root}/...")
        return [lead_to(root, line) if relative_path(line) in moved else line for line in lines]

    def require(self, *names: str) -> None:
        for name in names:
            if not self.has(name):
                fail(self.program, f"no such file {self.file(name)}")

    def set_aside(self, name: str, program: str) -> None:
        """Move a table that says nothing true any more to .backup, and say so."""
        if self.has(name):
            backup = self.file(".backup")
            os.makedirs(backup, exist_ok=True)
            os.replace(self.file(name), os.path.join(backup, name))
            say(program, f"{self.file(name)} is of an older state. Moving it to {backup}")

    def set_aside_all_but(self, source: "Directory", without: tuple[str, ...] = ()) -> None:
        """Set the known tables aside that the source does not have, or that are not to be taken from it."""
        for name in (*BY_UTTERANCE, *BY_SPEAKER, *BY_RECORDING, *WITHOUT_KEY):
            if name in without or not source.has(name):
                self.set_aside(name, self.program)

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """Write a table beside its place and rename it, so that nobody ever sees half of it."""
        os.makedirs(self.path, exist_ok=True)
        temporary = self.file(f".{name}.{os.getpid()}")
        try:
            with open(temporary, "wb") as stream:
                stream.writelines(lines)
            os.replace(temporary, self.file(name))
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise


def relative_path(line: bytes) -> bytes | None:
    """The file that a line of wav.scp or feats.scp names by a relative path; None for pipes, absolute paths, no path.

    >>> relative_path(b"a data/x y.ark:12[0:3]\\n"), relative_path(b"a flac -dc x |\\n"), relative_path(b"a /x.wav\\n")
    (b'data/x y.ark', None, None)
    """
    words = line.strip().split(None, 1)
    if len(words) < 2 or words[1].endswith(b"|") or words[1].startswith(b"/") or b"://" in words[1]:
        return None
    return re.sub(rb":\d+(\[[^\]]*\])?\Z", b"", words[1])


def lead_to(root: str, line: bytes) -> bytes:
    """A line whose path begins with a folder."""
    begin = line.index(line.split(None, 1)[1], len(key(line)))
    return line[:begin] + os.path.join(os.fsencode(root), b"") + line[begin:]


def fail(program: str, message: str) -> NoReturn:
    """End with one line on standard error and exit code 1."""
    sys.stdout.flush()
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(1)


def say(program: str, message: str) -> None:
    print(f"{program}: {message}", flush=True)


def shown(data: bytes) -> str:
    """Bytes for a message."""
    return data.decode("utf-8", "replace").rstrip("\r\n")


def key(line: bytes) -> bytes:
    """The first field of a line."""
    return line.split(None, 1)[0]


def keys(lines: Lines) -> list[bytes]:
    return [line.split(None, 1)[0] for line in lines]


def keep(lines: Lines, kept_keys: set[bytes] | dict[bytes, bytes]) -> Lines:
    """The lines whose key is kept, in their order."""
    return [line for line in lines if line.split(None, 1)[0] in kept_keys]


def second_fields(directory: Directory, name: str) -> dict[bytes, bytes]:
    """key -> second field, for tables of exactly two fields such as utt2spk."""
    pairs = {}
    for number, line in enumerate(directory.read(name), 1):
        words = line.split()
        if len(words) != 2:
            location = f"{directory.file(name)}:{number}"
            fail(directory.program, f"{location}: expected two fields, got '{shown(line)}'")
        pairs[words[0]] = words[1]
    return pairs


def to_the_end(end: bytes) -> bool:
    """Whether an end in segments is -1: the end of the recording, whatever its length."""
    return float(end) == -1


def recordings(segments: Lines) -> set[bytes]:
    """The recordings that a segments table refers to."""
    return {line.split(None, 2)[1] for line in segments}


def spk2utt(utt2spk: Lines) -> Lines:
    """utt2spk lines -> spk2utt lines, speakers in order of appearance."""
    spoken: dict[bytes, list[bytes]] = {}
    for line in utt2spk:
        utterance, speaker = line.split()
        spoken.setdefault(speaker, []).append(utterance)
    return [speaker + b" " + b" ".join(utterances) + b"\n" for speaker, utterances in spoken.items()]


def rename_keys(lines: Lines, rename: Callable[[bytes], bytes], *, field: int = 0) -> Lines:
    """Lines with the field-th field (0 or 1) renamed; the rest of each line stays byte for byte."""
    renamed = []
    for line in lines:
        old = line.split(None, field + 1)[field]
        begin = line.index(old, 0 if field == 0 else len(line.split(None, 1)[0]))
        renamed.append(line[:begin] + rename(old) + line[begin + len(old) :])
    return renamed


def sort_by_key(lines: Lines) -> Lines:
    """Lines in C order of their keys; lines of the same key keep their order."""
    return sorted(lines, key=key)


def copy_tables(source: Directory, target: Directory, names: Iterable[str]) -> None:
    """Copy tables that are there, byte for byte."""
    for name in names:
        if source.has(name):
            with open(source.file(name), "rb") as stream:
                target.write(name, stream)


def write_subset(source: Directory, target: Directory, utt2spk: Lines) -> None:
    """Write the part of a directory that belongs to the utterances of the utt2spk lines, in the source's order."""
    utterances = set(keys(utt2spk))
    speaker_lines = spk2utt(utt2spk)
    speakers = set(keys(speaker_lines))
    target.write("utt2spk", utt2spk)
    target.write("spk2utt", speaker_lines)
    recordings_kept = utterances
    for name in BY_UTTERANCE:
        if source.has(name):
            kept = keep(source.read_from_here(name), utterances)
            target.write(name, kept)
            if name == "segments":
                recordings_kept = recordings(kept)
    for names, kept_keys in ((BY_SPEAKER, speakers), (BY_RECORDING, recordings_kept)):
        for name in names:
            if source.has(name):
                target.write(name, keep(source.read_from_here(name), kept_keys))
    for name in WITHOUT_KEY:
        if source.has(name):
            with open(source.file(name), "rb") as stream:
                lines = stream.readlines()
            target.write(name, keep(lines, recordings_kept) if name == "stm" else lines)
