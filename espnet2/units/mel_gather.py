"""dump/<set> in, the mean and deviation of its mel frames out: dump/<set>/mel_stats/<hash of the mel settings>.json."""

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.data.loader import START_METHOD
from espnet2.data.waveform import load_wav
from espnet2.ssl.modules.mel import LogMel, MelSettings
from espnet2.ssl.modules.mel_statistics import MelStatistics, MelStatisticsJson
from espnet2.utils.errors import UserError
from espnet2.utils.files import read_json, read_json_lines, write_json
from espnet2.utils.json_record import record_fault, require_record
from espnet2.utils.progress import AudioProgress

FOLDER = "mel_stats"  # the folder inside dump/<set>
FORMAT_VERSION = 1
PART_SECONDS = 1800.0  # of audio: what a process does at a time, and what a stopped run loses at most


class CardJson(TypedDict):
    """What statistics are made from."""

    format_version: int
    index: str  # its hash
    mel: dict[str, int | float | str]  # as `MelSettings.describe`
    max_hours: float


class FileJson(TypedDict):
    """The file of the statistics of a set."""

    card: CardJson
    num_utterances: int
    seconds: float  # of audio that was read
    statistics: MelStatisticsJson


@dataclass(frozen=True)
class Request:
    """Which statistics of which set."""

    dump_set: Path
    index: AudioIndex
    settings: MelSettings
    max_hours: float  # of audio; a larger set is thinned to every n-th utterance

    @property
    def path(self) -> Path:
        return statistics_path(self.dump_set, self.settings)

    @property
    def partial_path(self) -> Path:
        return self.path.with_suffix(".partial.jsonl")

    def card(self) -> CardJson:
        """Statistics with another card are made anew."""
        return {
            "format_version": FORMAT_VERSION,
            "index": self.index.hash,
            "mel": dict(self.settings.describe()),
            "max_hours": self.max_hours,
        }

    def parts(self) -> list[np.ndarray]:
        """The rows to read, about PART_SECONDS of audio each: evenly spread over the set, so over its speakers."""
        hours = self.index.total_samples / self.index.sample_rate / 3600
        rows = np.arange(0, len(self.index), max(1, int(np.ceil(hours / self.max_hours))))
        seconds = np.cumsum(self.index.num_samples[rows]) / self.index.sample_rate
        return np.split(rows, np.flatnonzero(np.diff(seconds // PART_SECONDS)) + 1)


@dataclass(frozen=True)
class Job:
    """What one process does at a time."""

    index: AudioIndex
    settings: MelSettings
    rows: np.ndarray  # (utterances,) of the index


def statistics_path(dump_set: str | Path, settings: MelSettings) -> Path:
    """Where the statistics of a set are."""
    return Path(dump_set) / FOLDER / f"{settings.hash}.json"


def gather_statistics(
    dump_set: str | Path,
    settings: MelSettings,
    *,
    max_hours: float,
    num_workers: int,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write the statistics of a set, or leave them where they are up to date; a stopped run goes on where it was.

    The result does not depend on the number of processes or on interruptions.

    Args:
        max_hours: of audio. The mean of a hundred hours is known to better than 0.01 of a deviation.
        num_workers: processes; 0 does all in this one.
        tell: gets a line of progress now and then.

    Raises:
        UserError: there is no index, the audio has another rate or has changed.
    """
    dump_set = Path(dump_set)
    request = Request(dump_set, AudioIndex.open(dump_set), settings, max_hours)
    if request.index.sample_rate != settings.sample_rate:
        raise UserError(
            f"{dump_set}: the audio has {request.index.sample_rate} Hz, frontend_conf says sample_rate "
            f"{settings.sample_rate}; format it with --fs (stage 3), or change frontend_conf"
        )
    card, parts = request.card(), request.parts()
    known = read_json(request.path) or {}
    if known.get("card") == card and not record_fault(known, FileJson):
        return request.path
    seconds = [float(request.index.num_samples[rows].sum()) / settings.sample_rate for rows in parts]
    done = _read_partial(request.partial_path, card)
    missing = [number for number in range(len(parts)) if number not in done]
    progress = AudioProgress(f"{dump_set}: mel statistics", sum(seconds[number] for number in missing), tell)
    request.path.parent.mkdir(parents=True, exist_ok=True)
    with open(request.partial_path, "w", encoding="utf-8") as stream:
        for value in (card, *([number, part.to_json()] for number, part in done.items())):
            print(json.dumps(value), file=stream, flush=True)
        jobs = [Job(request.index, settings, parts[number]) for number in missing]
        for number, statistics in zip(missing, _compute(jobs, num_workers), strict=True):
            done[number] = statistics
            print(json.dumps([number, statistics.to_json()]), file=stream, flush=True)
            progress.add(seconds[number])
    total = reduce(MelStatistics.merged, (done[number] for number in range(len(parts))))
    contents: FileJson = {
        "card": card,
        "num_utterances": sum(map(len, parts)),
        "seconds": sum(seconds),
        "statistics": total.to_json(),
    }
    write_json(request.path, contents)
    request.partial_path.unlink(missing_ok=True)  # another node may have done the same work
    return request.path


def read_statistics(dump_sets: Sequence[str | Path], settings: MelSettings) -> MelStatistics:
    """The statistics of several sets together, each counted by its frames.

    Raises:
        UserError: a set has none, or its audio changed since.
    """
    total = MelStatistics.of(torch.zeros(0, settings.num_mels))
    for dump_set in dump_sets:
        path = statistics_path(dump_set, settings)
        index = AudioIndex.open(dump_set)
        remedy = "run stage 6 with this --train_config (python -m espnet2.bin.ssl_mel_stats)"
        needed = f"mel_norm corpus needs the mean and deviation of every training set's mel; {remedy}"
        gathered = require_record(path, FileJson, needed)
        if gathered["card"]["index"] != index.hash or gathered["card"]["format_version"] != FORMAT_VERSION:
            raise UserError(f"{path}: the set changed since these statistics were gathered; {remedy}")
        # Of a thinned set: as if all were read.
        scale = index.total_samples / settings.sample_rate / gathered["seconds"]
        total = total.merged(MelStatistics.from_json(gathered["statistics"]).scaled(scale))
    return total


def _compute(jobs: list[Job], num_workers: int) -> Iterator[MelStatistics]:
    """In the order of the jobs."""
    if num_workers == 0 or len(jobs) < 2:
        results = map(_compute_part, jobs)
        yield from map(_or_raise, results)
        return
    context = multiprocessing.get_context(START_METHOD)
    with context.Pool(min(num_workers, len(jobs)), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from map(_or_raise, pool.imap(_compute_part, jobs))


def _compute_part(job: Job) -> MelStatistics | UserError:
    """The statistics of some rows; a user's error is handed over as a value, as from a loader process."""
    mel = LogMel(job.settings)
    total = MelStatistics.of(torch.zeros(0, job.settings.num_mels))
    try:
        for row in job.rows:
            total = total.merged(MelStatistics.of(_mel_frames(mel, job.index, int(row))))
    except UserError as error:
        return error
    return total


def _mel_frames(mel: LogMel, index: AudioIndex, row: int) -> Tensor:
    """(frames, mels) of a whole utterance; none of one shorter than the window."""
    wav = load_wav(index, row, normalize=False)
    if mel.geometry.output_lengths(len(wav)) == 0:
        return torch.zeros(0, mel.settings.num_mels)
    frames: Tensor = mel(wav[None])[0]
    return frames


def _or_raise(result: MelStatistics | UserError) -> MelStatistics:
    if isinstance(result, UserError):
        raise result
    return result


def _read_partial(path: Path, card: CardJson) -> dict[int, MelStatistics]:
    """The finished parts of a stopped run of the same card; a line cut short by the stop counts as not done."""
    done = {}
    for number, value in enumerate(read_json_lines(path)):
        if number == 0 and value != card:
            return {}
        if number > 0:
            done[value[0]] = MelStatistics.from_json(value[1])
    return done
