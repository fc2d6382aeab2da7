"""A k-means and a formatted set in, the likely clusters of every frame with their weights out: shards, then one set."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.data.labels.check import check_labels
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.labels.statistics import LabelStatistics, label_statistics
from espnet2.data.labels.vector import VectorRow, pack_vector_labels
from espnet2.data.labels.whole import is_whole
from espnet2.units.card import KMeansCard, load_kmeans
from espnet2.units.features import map_features
from espnet2.units.frame_transform import FrameStatistics
from espnet2.units.kmeans_units import KMeansUnits
from espnet2.units.labelling import check_teacher_and_rate
from espnet2.units.sampling import fingerprint, job_part
from espnet2.units.source import make_extractor
from espnet2.units.speaker_table import speakers_hash
from espnet2.units.speakers import gather_speakers
from espnet2.utils.errors import UserError
from espnet2.utils.progress import AudioProgress

CHUNK_FRAMES = 4096  # of which the distances to all clusters are in memory at once


@dataclass(frozen=True)
class SoftLabelRequest:
    """Which soft labels of which set.

    Raises:
        UserError: a temperature that is not above 0, or fewer classes than one.
    """

    kmeans_dir: Path
    dump_set: Path
    output: Path  # folder for the packed labels
    temperature: float
    top_k: int  # classes that are kept of a frame

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"--temperature {self.temperature}: expected a number above 0")
        if self.top_k < 1:
            raise UserError(f"--top_k {self.top_k}: expected at least one class")

    def mark(self, card: KMeansCard, index: AudioIndex, *shard: int) -> str:
        """What the labels are made from."""
        data_hash = speakers_hash(index, card.transform)
        return fingerprint("soft", card.hash, data_hash, self.temperature, self.top_k, *shard)

    def part(self, job: int) -> Path:
        """The folder of one shard."""
        return self.output.parent / f".{self.output.name}.parts" / str(job)

    def check(self, card: KMeansCard) -> None:
        """Refuse to keep more classes than there are.

        Raises:
            UserError: a top_k above the number of clusters.
        """
        if self.top_k > card.num_clusters:
            raise UserError(f"--top_k {self.top_k}: {self.kmeans_dir} has only {card.num_clusters} clusters")


def soften(squared_distances: Tensor, *, temperature: float, top_k: int) -> VectorRow:
    """softmax(-squared distance / temperature) of the nearest clusters, scaled to add up to 1 among these.

    Args:
        squared_distances: (frames, clusters).

    Returns:
        (frames, top_k) labels and weights, the nearest first; the lowest number among equals.
    """
    # A stable sort, for topk leaves open which of equals comes first.
    nearest, labels = (values[:, :top_k] for values in squared_distances.sort(dim=1, stable=True))
    weights = (-nearest / temperature).softmax(1)
    return VectorRow(labels.cpu().numpy(), weights.float().cpu().numpy())


def soft_rows(
    units: KMeansUnits, features: Tensor, request: SoftLabelRequest, speaker: FrameStatistics | None = None
) -> VectorRow:
    """(layers, frames, dim) of an utterance, and its speaker where the k-means asks for that -> its soft labels."""
    centroids = units.centroids.double()
    parts = []
    for frames in units.transform(features.to(centroids.device), speaker).split(CHUNK_FRAMES):
        distances = torch.cdist(frames.double(), centroids, compute_mode="donot_use_mm_for_euclid_dist").square()
        parts.append(soften(distances, temperature=request.temperature, top_k=request.top_k))
    if not parts:
        return VectorRow(np.zeros((0, request.top_k), np.int64), np.zeros((0, request.top_k), np.float32))
    labels, weights = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return VectorRow(labels, weights)


def soft_labels_done(request: SoftLabelRequest) -> PackedLabels | None:
    """The labels of the request, if they are there and whole."""
    try:
        packed = PackedLabels.open(request.output)
    except UserError:  # missing or damaged: made anew
        return None
    mark = request.mark(load_kmeans(request.kmeans_dir).card, AudioIndex.open(request.dump_set))
    return packed if packed.card["source_hash"] == mark and is_whole(packed) else None


def soft_label_part(
    request: SoftLabelRequest,
    *,
    job: int = 1,
    num_jobs: int = 1,
    device: str = "cpu",
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """Label one shard of a set; a finished shard of the same request is kept. Returns its utterances.

    Raises:
        UserError: no k-means, a teacher that changed since, audio of another rate, or too large a top_k.
    """
    kmeans, index = load_kmeans(request.kmeans_dir), AudioIndex.open(request.dump_set)
    request.check(kmeans.card)
    rows = job_part(np.arange(len(index)), job, num_jobs)
    mark = request.mark(kmeans.card, index, job, num_jobs)
    if _part_done(request, job, mark):
        report(f"shard {job} of {num_jobs}: finished before, kept")
        return len(rows)
    current = check_teacher_and_rate(request.kmeans_dir, kmeans.card, index)
    extractor, units = make_extractor(current, index.sample_rate, device), KMeansUnits(kmeans, device)
    speakers = gather_speakers(index, rows.tolist(), extractor, kmeans.card.transform)
    progress = AudioProgress(
        f"soft labels, shard {job} of {num_jobs}", float(index.num_samples[rows].sum() / index.sample_rate), report
    )

    def one(row: int, features: Tensor) -> VectorRow:
        progress.add(index.num_samples[row] / index.sample_rate)
        return soft_rows(units, features, request, speakers.of(index.utt_id(row)) if speakers else None)

    _pack(request, map_features(index, rows, extractor, one), request.part(job), kmeans.card, index, mark)
    return len(rows)


def merge_soft_labels(request: SoftLabelRequest, *, num_jobs: int) -> tuple[PackedLabels, LabelStatistics]:
    """Join the shards into the folder of the request, in the order of the index; check them as all labels.

    Raises:
        UserError: a shard is missing or was made from something else, or what `check_labels` refuses.
    """
    card, index = load_kmeans(request.kmeans_dir).card, AudioIndex.open(request.dump_set)
    for job in range(1, num_jobs + 1):
        if not _part_done(request, job, request.mark(card, index, job, num_jobs)):
            raise UserError(
                f"{request.part(job)}: missing, or made from another k-means, index or options; "
                f"run ssl_soft_labels --job {job} --num_jobs {num_jobs} again"
            )
    parts = [PackedLabels.open(request.part(job)) for job in range(1, num_jobs + 1)]
    statistics = label_statistics(
        (part.first_labels(row) for part in parts for row in range(len(part))), card.num_clusters
    )
    counts = np.concatenate([part.lengths for part in parts])
    check_labels(counts, statistics, index, label_rate=card.label_rate, source=str(request.output))

    def rows() -> Iterator[VectorRow]:
        for part in parts:
            for row in range(len(part)):
                yield VectorRow(part.labels(row), part.weights(row))

    packed = _pack(request, rows(), request.output, card, index, request.mark(card, index))
    shutil.rmtree(request.part(1).parent)
    return packed, statistics


def _part_done(request: SoftLabelRequest, job: int, mark: str) -> bool:
    try:
        return PackedLabels.open(request.part(job)).card["source_hash"] == mark
    except UserError:
        return False


def _pack(
    request: SoftLabelRequest,
    rows: Iterator[VectorRow],
    directory: Path,
    card: KMeansCard,
    index: AudioIndex,
    mark: str,
) -> PackedLabels:
    return pack_vector_labels(
        rows,
        directory,
        num_classes=card.num_clusters,
        width=request.top_k,
        is_soft=True,
        label_rate=card.label_rate,
        index_hash=index.hash,
        source={
            "kmeans": str(request.kmeans_dir),
            "kmeans_hash": card.hash,
            "dump_set": str(request.dump_set),
            "temperature": str(request.temperature),
        },
        source_hash=mark,
    )
