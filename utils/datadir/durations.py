"""wav.scp or segments -> "key seconds" lines."""

import os
import sys

import audio_length
import tables

PROGRAM = "get_utt2dur.sh"


def seconds_text(seconds: float) -> str:
    """Seconds to the microsecond without trailing zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def write_lines(path: str, lines: tables.Lines) -> None:
    directory, name = os.path.split(path)
    tables.Directory(directory or ".", PROGRAM).write(name, lines)


def recording_seconds(folder: str, recording: bytes) -> float:
    """The length of a recording, from reco2dur or from the audio that wav.scp names."""
    directory = tables.Directory(folder or ".", PROGRAM)
    if directory.has("reco2dur"):
        known = tables.second_fields(directory, "reco2dur")
        if recording in known:
            return float(known[recording])
    directory.require("wav.scp")
    for line in tables.keep(directory.read("wav.scp"), {recording}):
        try:
            return audio_length.entry_seconds(os.fsdecode(line).split(None, 1)[1].strip())
        except (audio_length.AudioError, OSError) as error:
            tables.fail(PROGRAM, f"{tables.shown(recording)}: {error}")
    tables.fail(PROGRAM, f"{directory.file('wav.scp')} has no recording '{tables.shown(recording)}'")


def from_segments(segments_path: str, output: str) -> None:
    """End minus begin of every segment, as awk prints numbers (Kaldi uses awk here); -1 is the recording's end."""
    lines = []
    lengths: dict[bytes, float] = {}
    with open(segments_path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            try:
                end = float(words[3])
                if tables.to_the_end(words[3]):
                    if words[1] not in lengths:
                        lengths[words[1]] = recording_seconds(os.path.dirname(segments_path), words[1])
                    end = lengths[words[1]]
                lines.append(b"%s %.6g\n" % (words[0], end - float(words[2])))
            except (IndexError, ValueError):
                place = f"{segments_path}:{number}"
                tables.fail(PROGRAM, f"{place}: expected 'utterance recording begin end', got '{tables.shown(line)}'")
    write_lines(output, lines)


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
