"""An index and a share of its utterances in, a sample of frames on disk out, the same for any number of jobs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

import numpy as np

from espnet2.data.choose import choose_share, id_hash
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_value, read_json, write_json
from espnet2.utils.json_record import require_record


@dataclass(frozen=True)
class SamplePlan:
    """Which utterances, and how many of their frames, k-means sees."""

    rows: np.ndarray  # (utterances,) of the index, ascending
    keep: float  # share of the frames of these utterances
    num_frames: int  # about so many frames in all
    keep_to_fit: float = 0.0  # share of the frames that PCA and whitening are fitted on
    num_frames_to_fit: int = 0


TO_FIT = "to_fit"  # name of the shards that PCA and whitening are fitted on
FIT_FRAMES = 100_000  # of PCA and whitening: over 40 for each of three joined layers' 2,304 values
CHUNK_FRAMES = 65_536  # borders of chunks do not depend on those of shards, so neither does rounding


def plan_sample(
    index: AudioIndex | JoinedIndex, geometry: FrameGeometry, *, portion: float, max_frames: int, seed: int
) -> SamplePlan:
    """Choose by a hash of utterance id and seed: neither the order of the sets nor the number of jobs matters.

    Args:
        geometry: of the features.
        portion: share of the utterances, in 0..1; at least one is taken.
        max_frames: when the chosen utterances have more, an even share of the frames of each is taken.

    Raises:
        UserError: a portion outside 0..1.
    """
    if not 0 < portion <= 1:
        raise UserError(f"--portion {portion}: expected a share of the utterances, above 0 and up to 1")
    rows = choose_share(index, np.arange(len(index)), portion=portion, seed=seed)
    total = int(geometry.output_lengths(np.asarray(index.num_samples)[rows]).sum())
    shares = [min(1.0, limit / max(total, 1)) for limit in (max_frames, FIT_FRAMES)]
    return SamplePlan(rows, shares[0], min(total, max_frames), shares[1], min(total, FIT_FRAMES))


def sampled_frames(utt_id: str, num_frames: int, keep: float, seed: int) -> np.ndarray:
    """The frames of one utterance that are taken: (taken,) ascending."""
    if keep >= 1:
        return np.arange(num_frames)
    generator = np.random.Generator(np.random.PCG64(id_hash(utt_id, seed + 1)))
    count = int(keep * num_frames + generator.random())
    return np.sort(generator.choice(num_frames, size=min(count, num_frames), replace=False))


def job_part(rows: np.ndarray, job: int, num_jobs: int) -> np.ndarray:
    """The rows of array job `job` (1-based): contiguous, so that joined parts keep the order.

    Raises:
        UserError: a job number outside 1..num_jobs.
    """
    if not 1 <= job <= num_jobs:
        raise UserError(f"--job {job} --num_jobs {num_jobs}: jobs are counted from 1 to the number of jobs")
    return np.array_split(rows, num_jobs)[job - 1]


class ShardJson(TypedDict):
    """The card of a shard."""

    fingerprint: str
    num_frames: int
    dim: int
    frame_rate: float  # per second


@dataclass(frozen=True)
class FeatureShard:
    """Sampled frames of one array job: `<name>.<job>.npy` and, written last, `<name>.<job>.json`."""

    directory: Path
    job: int
    name: str = "features"

    @property
    def frames_path(self) -> Path:
        return self.directory / f"{self.name}.{self.job}.npy"

    @property
    def card_path(self) -> Path:
        return self.directory / f"{self.name}.{self.job}.json"

    def is_done(self, fingerprint: str) -> bool:
        """Whether the shard is there and was made from exactly this."""
        card = read_json(self.card_path)
        return card is not None and card.get("fingerprint") == fingerprint and self.frames_path.exists()

    def write(self, parts: Iterator[np.ndarray], dim: int, frame_rate: float, fingerprint: str) -> int:
        """Stream (frames, dim) arrays to disk; returns the number of frames."""
        self.card_path.unlink(missing_ok=True)
        count = 0
        with atomic_write(self.frames_path, "wb") as stream:
            write_array_header(stream, 0, dim)
            for part in parts:
                stream.write(np.ascontiguousarray(part, dtype="<f4").tobytes())
                count += len(part)
            stream.seek(0)
            write_array_header(stream, count, dim)
        card = ShardJson(fingerprint=fingerprint, num_frames=count, dim=dim, frame_rate=frame_rate)
        write_json(self.card_path, card)
        return count


def write_array_header(stream: IO[bytes], num_frames: int, dim: int) -> None:
    """NumPy pads the header of an array so that it keeps its size while the first axis grows."""
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (num_frames, dim)})


@dataclass(frozen=True)
class Sample:
    """All shards of a sample, on disk."""

    shards: tuple[FeatureShard, ...]
    num_frames: int
    dim: int
    frame_rate: float  # per second

    @classmethod
    def open(cls, directory: Path, fingerprints: list[str], name: str = "features") -> "Sample":
        """Find the shards of all jobs.

        Raises:
            UserError: one is missing, or was made from something else.
        """
        shards = tuple(FeatureShard(directory, job, name) for job in range(1, len(fingerprints) + 1))
        for shard, mark in zip(shards, fingerprints, strict=True):
            if not shard.is_done(mark):
                raise UserError(
                    f"{shard.frames_path}: missing, or made with other data or options; "
                    f"run ssl_sample_features --job {shard.job} --num_jobs {len(shards)} again"
                )
        remedy = "run ssl_sample_features again"
        cards = [require_record(shard.card_path, ShardJson, remedy) for shard in shards]
        num_frames = sum(card["num_frames"] for card in cards)
        return cls(shards, num_frames, cards[0]["dim"], cards[0]["frame_rate"])

    def read(self) -> np.ndarray:
        """The frames in the order of the jobs: (frames, dim) float32 in memory."""
        return self.read_as(lambda frames: frames, self.dim)

    def read_as(self, convert: Callable[[np.ndarray], np.ndarray], dim: int) -> np.ndarray:
        """The frames in the order of the jobs, converted a chunk at a time: (frames, dim) float32 in memory."""
        frames = np.empty((self.num_frames, dim), dtype=np.float32)
        shards = [np.load(shard.frames_path, mmap_mode="r") for shard in self.shards]
        starts = np.cumsum([0, *map(len, shards)])
        for first in range(0, self.num_frames, CHUNK_FRAMES):
            last = min(first + CHUNK_FRAMES, self.num_frames)
            parts = [
                shard[max(0, first - start) : max(0, last - start)]
                for shard, start in zip(shards, starts, strict=False)
            ]
            frames[first:last] = convert(np.concatenate(parts))
        return frames


def fingerprint(*parts: object) -> str:
    """The hash of what an artefact is made from."""
    return hash_value(list(parts))
