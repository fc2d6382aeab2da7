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


def from_segments(segments_path: str, output: str) -> None:
    """End minus begin of every segment, as awk prints numbers (Kaldi uses awk here)."""
    lines = []
    with open(segments_path, "rb") as stream:
        for number, line in enumerate(stream, 1):
            words = line.split()
            try:
                lines.append(b"%s %.6g\n" % (words[0], float(words[3]) - float(words[2])))
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
