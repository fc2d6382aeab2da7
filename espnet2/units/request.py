"""The options of a k-means sample, in one place for the programs that share them."""

import argparse
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import JoinedIndex, open_indexes
from espnet2.units.sampling import SamplePlan, fingerprint, plan_sample
from espnet2.units.source import FEATURES, MFCC, FeatureIdentity, FeatureSource, parse_layer, resolve_source
from espnet2.units.speaker_table import speakers_hash
from espnet2.units.transform import NORMALIZATIONS, TransformOptions
from espnet2.utils.errors import UserError
from espnet2.utils.show import format_bytes

FLOAT_BYTES = 4
MAX_FRAMES = 2_000_000  # 6 GB of 768 values; 4,000 frames for each of 500 clusters, far more than a centroid needs


class SampleIdentity(FeatureIdentity):
    """The fields of a k-means card that the options of a sample decide."""

    portion: float
    max_frames: int
    seed: int
    index_hash: str
    normalize: str
    smooth_frames: int
    pca_dim: int
    whiten_dim: int


@dataclass(frozen=True)
class SampleRequest:
    """Which frames k-means is to see."""

    source: FeatureSource
    index: JoinedIndex  # of the training sets
    portion: float
    max_frames: int
    seed: int
    transform: TransformOptions

    @property
    def identity(self) -> SampleIdentity:
        """What a k-means must agree in to be of this sample."""
        return {
            **self.source.identity,
            "portion": self.portion,
            "max_frames": self.max_frames,
            "seed": self.seed,
            "index_hash": speakers_hash(self.index, self.transform),
            "normalize": self.transform.normalize,
            "smooth_frames": self.transform.smooth_frames,
            "pca_dim": self.transform.pca_dim,
            "whiten_dim": self.transform.whiten_dim,
        }

    def fingerprint(self, job: int, num_jobs: int) -> str:
        """Of one shard of the sample."""
        unchanged = set(asdict(self.transform)) - set(self.transform.changed)  # shards of older versions stay good
        return fingerprint({key: value for key, value in self.identity.items() if key not in unchanged}, job, num_jobs)

    def describe(self, plan: SamplePlan, dim: int) -> str:
        """What the sample holds and takes, for messages."""
        return (
            f"{self.source.describe()}: {len(plan.rows):,} of {len(self.index):,} utterances, "
            f"{100 * plan.keep:.3g} % of their frames: {plan.num_frames:,} frames of {dim} values, "
            f"{format_bytes(self.disk_bytes(plan, dim))} on disk"
        )

    def disk_bytes(self, plan: SamplePlan, dim: int) -> int:
        """Of the sample, and of the one that PCA or whitening is fitted on."""
        to_fit = plan.num_frames_to_fit if self.transform.projected_dim else 0
        return FLOAT_BYTES * (plan.num_frames + to_fit) * dim

    def plan(self, geometry: FrameGeometry) -> SamplePlan:
        """As `plan_sample`."""
        return plan_sample(self.index, geometry, portion=self.portion, max_frames=self.max_frames, seed=self.seed)


def add_sample_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `read_request` reads."""
    parser.add_argument("--dump_sets", required=True, help='training sets after stage 6, "dump/a dump/b"')
    parser.add_argument("--feature", choices=FEATURES, default=MFCC)
    parser.add_argument(
        "--layer", type=parse_layer, default=0, help="of the model, from 1; 1+2+3 joins several; mfcc has none"
    )
    parser.add_argument("--model", default="", help="exp/<name>: the teacher, for espnet_hubert")
    parser.add_argument("--portion", type=float, default=1.0, help="share of the utterances to sample (%(default)s)")
    parser.add_argument("--max_frames", type=int, default=MAX_FRAMES, help="most frames to keep (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and of k-means (%(default)s)")
    parser.add_argument(
        "--normalize", choices=NORMALIZATIONS, default=NORMALIZATIONS[0], help="taken from the features (%(default)s)"
    )
    parser.add_argument(
        "--smooth_frames", type=int, default=1, help="moving mean over so many frames, an odd number (%(default)s)"
    )
    parser.add_argument("--pca_dim", type=int, default=0, help="principal components to keep; 0: no PCA")
    parser.add_argument(
        "--whiten_dim", type=int, default=0, help="the same, each scaled to variance 1; 0: no whitening"
    )


def read_request(arguments: argparse.Namespace) -> SampleRequest:
    """Open the index and find the teacher.

    Raises:
        UserError: an index, the teacher or a table of speakers is missing.
    """
    transform = TransformOptions(arguments.normalize, arguments.smooth_frames, arguments.pca_dim, arguments.whiten_dim)
    source = resolve_source(arguments.feature, arguments.layer, arguments.model)
    index = open_indexes(arguments.dump_sets.split())
    speakers_hash(index, transform)  # refuses sets without speakers, before anything else is done
    return SampleRequest(source, index, arguments.portion, arguments.max_frames, arguments.seed, transform)


def require_disk(directory: Path, needed_bytes: int) -> None:
    """Stop before a disk is filled; the folder need not exist yet.

    Raises:
        UserError: less is free than needed.
    """
    there = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed_bytes > free:
        raise UserError(
            f"{directory}: needs {format_bytes(needed_bytes)}, but only {format_bytes(free)} are free; "
            "make room, or take fewer frames (--portion, --max_frames)"
        )


def require_memory(needed_bytes: int) -> None:
    """Stop before memory runs out, where the system tells how much there is.

    Raises:
        UserError: less is available than needed.
    """
    available = _available_memory_bytes()
    if available is not None and needed_bytes > available:
        raise UserError(
            f"k-means needs {format_bytes(needed_bytes)} of memory, but only {format_bytes(available)} are there; "
            "take fewer frames (--portion, --max_frames)"
        )


def _available_memory_bytes() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(values[0]) * 1024 if values else None
