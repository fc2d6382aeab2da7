"""What an entry of wav.scp means: a file, a place in an archive, or a pipe; quoting for new pipes."""

import os
import re
import shlex

# sox reads the type from the name except behind "-t"; Kaldi writes "-t wav" for every file, which other formats
# would not survive.
SOX = re.compile(r"\S*sox (?:-t \w+ )?\S+(?: -c 1| -b 16| -r \d+| -e \S+)* -t wav -(?: (speed|rate) (\S+))?\Z")
SEGMENT_TOLERANCE_SECONDS = 0.5  # as in espnet2/data/audio/decode.py
OTHER_TYPES = (".flac", ".ogg", ".mp3", ".aiff", ".aif", ".au", ".sph", ".opus")


def is_pipe(entry: str) -> bool:
    return entry.rstrip().endswith("|")


def archive_place(entry: str) -> tuple[str, int] | None:
    """("x.ark", 1234) for "x.ark:1234", else None."""
    match = re.match(r"(.*):(\d+)\Z", entry)
    return (match.group(1), int(match.group(2))) if match else None


def segment_end(end_seconds: float, recording_seconds: float) -> float:
    """Where a segment ends, as stage 3 takes it: below 0 at the end, and where it is a little late at the end too.

    >>> segment_end(-1, 10.0), segment_end(10.3, 10.0), segment_end(9.5, 10.0)
    (10.0, 10.0, 9.5)
    """
    is_late = recording_seconds < end_seconds <= recording_seconds + SEGMENT_TOLERANCE_SECONDS
    return recording_seconds if end_seconds < 0 or is_late else end_seconds


def quoted(path: str) -> str:
    """A path as one word of a shell command; a harmless path stays as it is."""
    return path if re.match(r"[^\s\"'$`\\;&|<>()*?#\[\]]+\Z", path) else shlex.quote(path)


def sox_input(path: str) -> str:
    """The input part of a sox command that reads a file."""
    extension = os.path.splitext(path)[1].lower()
    kind = extension[1:] if extension in OTHER_TYPES else "wav"
    return f"-t {kind} {quoted(path)}"


def piped(entry: str) -> str | None:
    """The start of a pipe that writes the entry as wav, ending in "|"; None for a plain file."""
    if is_pipe(entry):
        return entry.rstrip()[:-1].rstrip() + " |"
    if archive_place(entry):
        return f"wav-copy {quoted(entry)} - |"
    return None


def decoded_file(command: str) -> tuple[str, float] | None:
    """(file, speed) of a pipe that only decodes a whole file and changes its speed, else None.

    >>> decoded_file("flac -c -d -s a.flac | sox -t wav - -t wav - speed 0.9 |")
    ('a.flac', 0.9)
    """
    try:
        parts = [shlex.split(part) for part in command.rstrip().rstrip("|").split("|")]
    except ValueError:
        return None
    path, speed = first_file(parts[0]), 1.0
    by_sox = path and os.path.basename(parts[0][0]) == "sox"
    for part in parts if by_sox else parts[1:]:
        factor = sox_speed(["-" if word == path else word for word in part])
        if factor is None:
            return None
        speed *= factor
    return (path, speed) if path else None


def first_file(words: list[str]) -> str | None:
    """The one file that a known decoder reads as a whole."""
    program = os.path.basename(words[0]) if words else ""
    if program == "flac":
        options, files = set(words[1:-1]), words[-1:]
        known = {"-c", "-d", "-s", "-cds", "-dcs", "-dc", "-cd", "--stdout", "--decode", "--silent"}
        return files[0] if options and options <= known and not files[0].startswith("-") else None
    if program == "sph2pipe":
        return sphere_file(words[1:])
    if program == "cat":
        return words[1] if len(words) == 2 else None
    if program == "sox":
        rest = words[3:] if words[1:2] == ["-t"] else words[1:]
        return rest[0] if rest and rest[0] != "-" and not rest[0].startswith("-") else None
    return None


def sphere_file(words: list[str]) -> str | None:
    """The file of `sph2pipe -f wav [-p] [-c 1] FILE`: a channel is as long as the file.

    >>> sphere_file(["-f", "wav", "-p", "-c", "1", "a.sph"])
    'a.sph'
    """
    options = re.fullmatch(r"(-p |-f (wav|rif) |-c [12] )*", "".join(f"{word} " for word in words[:-1]))
    return words[-1] if options and words and not words[-1].startswith("-") else None


def sox_speed(words: list[str]) -> float | None:
    """The factor by which a sox command shortens its input; None if it may change the length otherwise."""
    effect = SOX.match(" ".join(words))
    if not effect:
        return None
    try:
        return float(effect.group(2)) if effect.group(1) == "speed" else 1.0
    except ValueError:
        return 1.0
