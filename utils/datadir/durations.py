"""wav.scp or segments -> "key seconds" lines."""

import os
import sys
from typing import NamedTuple

import audio_length
import audio_source
import tables

PROGRAM = "get_utt2dur.sh"


class Segment(NamedTuple):
    """A line of segments."""

    utterance: bytes
    recording: bytes
    begin: float  # seconds
    end: float  # below 0: the end of the recording


def seconds_text(seconds: float) -> str:
    """Seconds to the microsecond without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def write_lines(path: str, lines: tables.Lines) -> None:
    directory, name = os.path.split(path)
    tables.Directory(directory or ".", PROGRAM).write(name, lines)


def known_lengths(folder: str) -> dict[bytes, float]:
    """Lengths of recordings from reco2dur, where there is one."""
    directory = tables.Directory(folder or ".", PROGRAM)
    if not directory.has("reco2dur"):
        return {}
    return {key: float(value) for key, value in tables.second_fields(directory, "reco2dur").items()}


def segment_ends(segments: list[Segment], folder: str) -> dict[bytes, float]:
    """Utterances whose segment does not end where it says -> where it ends: with its recording, as stage 3 takes it."""
    open_ended = {segment.recording for segment in segments if segment.end < 0}
    seconds = known_lengths(folder)
    wav_path = os.path.join(folder, "wav.scp")
    if os.path.exists(wav_path):
        with open(wav_path, "rb") as stream:
            for line in stream:
                name, _, entry = line.strip().partition(b" ")
                if name not in seconds:
                    total = recording_seconds(name, os.fsdecode(entry).strip(), is_needed=name in open_ended)
                    seconds.update({} if total is None else {name: total})
    ends = {}
    for segment in segments:
        total = seconds.get(segment.recording)
        if total is not None:
            ends[segment.utterance] = audio_source.segment_end(segment.end, total)
        elif segment.end < 0:
            tables.fail(PROGRAM, f"{wav_path} has no recording '{tables.shown(segment.recording)}'")
    return ends


def recording_seconds(name: bytes, entry: str, *, is_needed: bool) -> float | None:
    """The length of a recording; None where it is not needed and costs a command, or cannot be read."""
    if not is_needed and audio_length.runs_a_command(entry):
        return None
    try:
        return audio_length.entry_seconds(entry)
    except (audio_length.AudioError, OSError) as error:
        if is_needed:
            tables.fail(PROGRAM, f"{tables.shown(name)}: {error}")
        return None


def from_segments(segments_path: str, output: str) -> None:
    """End minus begin of every segment, as awk prints numbers (Kaldi uses awk here); -1 is the recording's end."""
    segments = []
    with open(segments_path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            try:
                segments.append(Segment(words[0], words[1], float(words[2]), float(words[3])))
            except (IndexError, ValueError):
                location = f"{segments_path}:{number}"
                tables.fail(
                    PROGRAM, f"{location}: expected 'utterance recording begin end', got '{tables.shown(line)}'"
                )
    ends = segment_ends(segments, os.path.dirname(segments_path))
    lengths = ((segment.utterance, ends.get(segment.utterance, segment.end) - segment.begin) for segment in segments)
    write_lines(output, [b"%s %.6g\n" % pair for pair in lengths])


def from_wav(wav_path: str, output: str, *, read_entire_file: bool, permissive: bool) -> None:
    """The length of every recording; one that cannot be read is an error, or left out with a warning."""
    lines = []
    with open(wav_path, "rb") as stream:
        for line in stream:
            name, _, entry = os.fsdecode(line).strip().partition(" ")
            try:
                seconds = audio_length.entry_seconds(entry.strip(), read_entire_file=read_entire_file)
            except (audio_length.AudioError, OSError) as error:
                reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
                if not permissive:
                    tables.fail(PROGRAM, f"{name}: {reason}")
                print(f"{PROGRAM}: warning: {name}: {reason}", file=sys.stderr)
                continue
            lines.append(os.fsencode(f"{name} {seconds_text(seconds)}\n"))
    write_lines(output, lines)


def main(arguments: list[str]) -> None:
    """segments <segments> <output>, or wav <wav.scp> <output> <read-entire-file> <permissive>"""
    kind, source, output, *flags = arguments
    if kind == "segments":
        from_segments(source, output)
    else:
        from_wav(source, output, read_entire_file=flags[0] == "true", permissive=flags[1] == "true")
