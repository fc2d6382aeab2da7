"""One speaker's folder of Libri-Light in, its segments out: voice activity of the .json files, joined and cut."""

import json
import math
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from espnet2.utils.errors import UserError

AUDIO = (".flac", ".wav")


class Cutting(NamedTuple):
    """How voice activity becomes segments."""

    max_seconds: float
    max_pause_seconds: float
    min_seconds: float
    segmented: bool  # every file is one utterance


class Segment(NamedTuple):
    """A part of a file, or a whole one."""

    path: str
    recording: str  # without the speaker
    start: float  # seconds
    end: float | None  # None: the whole file


def join_activity(activity: list[list[float]], cutting: Cutting) -> Iterator[tuple[float, float]]:
    """Stretches of speech -> segments (start, end) in seconds: neighbours joined greedily, long ones cut evenly.

    >>> list(join_activity([[0, 10], [11, 25], [26, 40], [50, 120]], Cutting(30, 2, 2, False)))
    [(0, 25), (26, 40), (50.0, 73.333), (73.333, 96.667), (96.667, 120.0)]
    """
    joined: list[tuple[float, float]] = []
    for start, end in activity:
        if joined and start - joined[-1][1] <= cutting.max_pause_seconds and end - joined[-1][0] <= cutting.max_seconds:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    for start, end in joined:
        parts = math.ceil((end - start) / cutting.max_seconds)
        if parts <= 1:
            if end - start >= cutting.min_seconds:
                yield start, end
            continue
        cuts = [round(start + part * (end - start) / parts, 3) for part in range(parts + 1)]
        yield from pairwise(cuts)


def read_activity(path: Path, speaker: str) -> list[list[float]]:
    """The onsets and offsets of a .json file.

    Raises:
        UserError: it is damaged, or of another speaker than its folder.
    """
    try:
        described = json.loads(path.read_bytes())
        activity = [[float(start), float(end)] for start, end in described["voice_activity"]]
        said = str(described["speaker"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected Libri-Light's 'speaker' and 'voice_activity' ({error!r})") from None
    if said != speaker:
        raise UserError(f"{path}: its speaker is {said}, its folder is that of {speaker}")
    return sorted(activity)


def recording_names(paths: list[str]) -> list[str]:
    """Names for the files of one speaker: the file's own, with its folder's where another has the same.

    >>> recording_names(["s/960/a/x 1.flac", "s/960/b/x 1.flac", "s/960/b/y.flac"])
    ['x_1', 'b_x_1', 'y']
    """
    names: dict[str, None] = {}
    for path in paths:
        below, name = os.path.split(path)
        stem = "_".join(os.path.splitext(name)[0].split())
        names[stem if stem not in names else "_".join(f"{os.path.basename(below)}_{stem}".split())] = None
    if len(names) < len(paths):
        raise UserError(f"{os.path.dirname(paths[0])} and others of this speaker: two folders with the same files")
    return list(names)


def find_audio(folders: list[str]) -> tuple[list[str], set[str]]:
    """The audio files below the folders of a speaker, sorted, and the .json files."""
    audio, descriptions = [], set()
    for folder in folders:
        for below, _, names in os.walk(folder, followlinks=True):
            for name in names:
                suffix = os.path.splitext(name)[1].lower()
                if name.startswith("."):  # a Mac's shadow of a file
                    continue
                if suffix in AUDIO:
                    audio.append(f"{below}/{name}")
                elif suffix == ".json":
                    descriptions.add(f"{below}/{name}")
    return sorted(audio), descriptions


def read_speaker(speaker: str, folders: list[str], cutting: Cutting) -> tuple[list[Segment], list[str]]:
    """All segments of a speaker, and the audio files that have no .json."""
    segments, lacking = [], []
    audio, descriptions = find_audio(folders)
    for path, recording in zip(audio, recording_names(audio), strict=True):
        description = f"{os.path.splitext(path)[0]}.json"
        if cutting.segmented:
            segments.append(Segment(path, recording, 0.0, None))
        elif description in descriptions:
            times = join_activity(read_activity(Path(description), speaker), cutting)
            segments += [Segment(path, recording, start, end) for start, end in times]
        else:
            lacking.append(path)
    return segments, lacking
