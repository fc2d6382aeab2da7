"""An entry of wav.scp -> its length in seconds: that of the samples which are there, as stage 3 counts them.

The toolkit's package does the work. Without its environment (numpy, soundfile) the headers of PCM in RIFF, of FLAC and
of SPHERE have to do.
"""

import io
import os
import re
import subprocess
import sys
from types import ModuleType

import audio_source

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
INSTALL = "run make env, or pip install numpy soundfile"
PCM_TAGS = (1, 3, 6, 7, 0xFFFE)  # PCM, float, A-law, mu-law, extensible: bytes are time

HEADER_BYTES = 65536  # a RIFF file may hold other chunks before its samples
UNKNOWN_SIZES = (0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF)  # what programs write to a pipe, not knowing the length


class AudioError(Exception):
    """Audio whose length cannot be learned; the text says why."""


def riff_seconds(head: bytes, total_bytes: int | None) -> float:
    """Length from a RIFF header; total_bytes is what follows its start, where that is known."""
    position, block, rate = 12, 0, 0
    while position + 8 <= len(head):
        chunk, size = head[position : position + 4], int.from_bytes(head[position + 4 : position + 8], "little")
        if chunk == b"fmt ":
            rate = int.from_bytes(head[position + 12 : position + 16], "little")
            block = int.from_bytes(head[position + 20 : position + 22], "little")
            if int.from_bytes(head[position + 8 : position + 10], "little") not in PCM_TAGS:
                raise AudioError(f"compressed RIFF file; its length needs a decoder: {INSTALL}")
        if chunk == b"data":
            if not rate or not block:
                raise AudioError("RIFF file without a format before its samples")
            present = None if total_bytes is None else total_bytes - position - 8
            if size in UNKNOWN_SIZES or (present is not None and size > present):
                size = present or 0
            return size // block / rate
        position += 8 + size + size % 2
    raise AudioError("RIFF file without samples")


def flac_seconds(head: bytes) -> float:
    """Length from the STREAMINFO block (RFC 9639, section 8.2): 20 bits rate, 36 bits total samples."""
    packed = int.from_bytes(head[18:26], "big")
    rate, samples = packed >> 44, packed & ((1 << 36) - 1)
    if not rate or not samples:
        raise AudioError("FLAC file that does not state its length")
    return samples / rate


def sphere_seconds(head: bytes) -> float:
    """Length from a NIST SPHERE header."""
    values = dict(re.findall(rb"(sample_rate|sample_count) -i (\d+)", head[:4096]))
    if len(values) < 2 or not int(values[b"sample_rate"]):
        raise AudioError("SPHERE file without sample_rate and sample_count")
    return int(values[b"sample_count"]) / int(values[b"sample_rate"])


def library() -> ModuleType | None:
    """The package's module of lengths; None where it or its environment is missing."""
    if ROOT not in sys.path:
        sys.path.append(ROOT)
    try:
        from espnet2.data.audio import length
    except ImportError:
        return None
    return length


def header_seconds(head: bytes, total_bytes: int | None) -> float:
    """Length from the header."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return riff_seconds(head, total_bytes)
    if head[:4] == b"fLaC":
        return flac_seconds(head)
    if head[:7] == b"NIST_1A":
        return sphere_seconds(head)
    raise AudioError(f"neither RIFF, FLAC nor SPHERE; other formats need a decoder: {INSTALL}")


def file_seconds(path: str) -> float:
    """Length of a file."""
    with open(path, "rb") as stream:
        head = stream.read(HEADER_BYTES)
        total = stream.seek(0, io.SEEK_END)
    if not total:
        raise AudioError("empty file")
    return header_seconds(head, total)


def archive_seconds(path: str, offset: int) -> float:
    """Length of the audio at a place in a Kaldi archive."""
    with open(path, "rb") as stream:
        stream.seek(offset)
        head = stream.read(HEADER_BYTES)
    if head.startswith(b"AUDIO"):  # kaldiio writes a tag, a format and a length before flac
        head = head[max(0, head.find(b"fLaC")) :]
    return header_seconds(head, None)


def pipe_seconds(command: str) -> float:
    """Length of what a command writes."""
    done = subprocess.run(["bash", "-c", command], capture_output=True)
    if not done.stdout:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise AudioError(f"the command wrote nothing: {command}" + (f" ({reason[-1]})" if reason else ""))
    return header_seconds(done.stdout[:HEADER_BYTES], len(done.stdout))


def runs_a_command(entry: str) -> bool:
    """Whether the length of an entry is only known after a command of others has run."""
    length = library()
    return audio_source.is_pipe(entry) and (length is None or length.runs_a_command(entry))


def entry_seconds(entry: str, *, read_entire_file: bool = False) -> float:
    """Length of an entry of wav.scp in seconds; AudioError or OSError where it has none.

    A pipe of known programs is not run: its file and the speed tell. read_entire_file decodes everything.
    """
    length = library()
    if length is None:
        return entry_seconds_by_header(entry, read_entire_file=read_entire_file)
    try:
        seconds = length.entry_seconds(entry, decode=read_entire_file)
    except length.RejectedAudio as error:
        kinds = {
            "empty": "empty file: ",
            "command_failed": f"the command failed or wrote nothing: {entry[:-1].strip()}: ",
        }
        raise AudioError(kinds.get(error.reason, "") + error.detail) from None
    except length.UserError as error:
        raise AudioError(str(error)) from None
    if seconds <= 0:
        raise AudioError("no samples")
    return seconds


def entry_seconds_by_header(entry: str, *, read_entire_file: bool) -> float:
    """The same from the first bytes."""
    if audio_source.is_pipe(entry):
        known = None if read_entire_file else audio_source.decoded_file(entry)
        seconds = file_seconds(known[0]) / known[1] if known else pipe_seconds(entry.rstrip()[:-1])
    else:
        position = audio_source.archive_place(entry)
        seconds = archive_seconds(*position) if position else file_seconds(entry)
    if seconds <= 0:
        raise AudioError("no samples")
    return seconds
