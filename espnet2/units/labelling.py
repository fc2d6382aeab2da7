"""A k-means and a formatted set in, its unit sequences out: shards of an array job, then one text and packed labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from espnet2.data.index import AudioIndex
from espnet2.data.labels.check import check_labels
from espnet2.data.labels.packed import PackedLabels, pack_labels
from espnet2.data.labels.statistics import LabelStatistics, label_statistics
from espnet2.data.labels.whole import is_whole
from espnet2.units.card import KMeansCard, check_teacher, load_kmeans, require_card
from espnet2.units.sampling import fingerprint, job_part
from espnet2.units.source import FeatureSource, make_extractor, resolve_source
from espnet2.units.speaker_table import speakers_hash
from espnet2.utils.device import FLOAT32
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, read_json, write_json
from espnet2.utils.progress import AudioProgress

if TYPE_CHECKING:  # only `label_part` computes; the rest does without the two seconds that torch takes to load
    from torch import Tensor


class LabelFiles:
    """Where the labels of one set lie inside a k-means folder."""

    def __init__(self, kmeans_dir: str | Path, dump_set: str | Path) -> None:
        name = Path(dump_set).name
        self.text = Path(kmeans_dir) / "labels" / f"{name}.txt"  # "<utt> 3 3 17 ...", written last
        self.packed = Path(kmeans_dir) / "labels" / name
        self.parts = Path(kmeans_dir) / "labels" / f".{name}.parts"

    def part(self, job: int) -> Path:
        return self.parts / f"labels.{job}.txt"

    def part_card(self, job: int) -> Path:
        return self.parts / f"labels.{job}.json"


def labels_hash(index: AudioIndex, card: KMeansCard, *further: object) -> str:
    """What decides the labels of a set, and further marks.

    Args:
        further: the type that a model computes in, where that is not float32; of a shard, its number and their number.
    """
    return fingerprint(card.hash, speakers_hash(index, card.transform), *further)


def labels_done(
    kmeans_dir: str | Path, dump_set: str | Path, card: KMeansCard, *, dtype: str | None = None
) -> PackedLabels | None:
    """The labels of a set, if they are there and of this k-means and this index.

    Args:
        dtype: in which the model was to compute, if not in float32.
    """
    files = LabelFiles(kmeans_dir, dump_set)
    if not files.text.exists():
        return None
    try:
        packed = PackedLabels.open(files.packed)
    except UserError:  # missing or damaged: made anew
        return None
    source_hash = labels_hash(AudioIndex.open(dump_set), card, *_further(dtype))
    return packed if packed.card["source_hash"] == source_hash and is_whole(packed) else None


def check_teacher_and_rate(kmeans_dir: str | Path, card: KMeansCard, index: AudioIndex) -> FeatureSource:
    """What the labels of a set are to be made with: the source of the k-means, found unchanged.

    Raises:
        UserError: audio of another rate than the k-means was learned at, or a teacher that changed since or is gone.
    """
    if index.sample_rate != card.sample_rate:
        raise UserError(
            f"{index.directory.parent}: {index.sample_rate} Hz, but the k-means was learned at {card.sample_rate} Hz"
        )
    current = resolve_source(card.feature, card.layer, card.model)
    check_teacher(kmeans_dir, card, current)
    return current


def label_part(
    kmeans_dir: str | Path,
    dump_set: str | Path,
    *,
    job: int = 1,
    num_jobs: int = 1,
    device: str = "cpu",
    dtype: str | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> int:
    """Label one shard of a set; a finished shard of the same k-means and index is kept. Returns its utterances.

    Args:
        dtype: in which a model computes, of `espnet2.units.precision`, if not in float32. How many units that changes
            is measured on some utterances and told.

    Raises:
        UserError: no k-means, a teacher that changed since, or audio of another rate.
    """
    from espnet2.units.agreement import measure_agreement
    from espnet2.units.features import LayerFeatures, map_features
    from espnet2.units.kmeans_units import KMeansUnits
    from espnet2.units.speakers import gather_speakers

    kmeans = load_kmeans(kmeans_dir)
    card = kmeans.card
    index = AudioIndex.open(dump_set)
    rows = job_part(np.arange(len(index)), job, num_jobs)
    files = LabelFiles(kmeans_dir, dump_set)
    mark = labels_hash(index, card, *_further(dtype), job, num_jobs)
    part_card = {"fingerprint": mark, "num_utterances": len(rows)}
    if read_json(files.part_card(job)) == part_card and files.part(job).exists():
        report(f"shard {job} of {num_jobs}: finished before, kept")
        return len(rows)
    current = check_teacher_and_rate(kmeans_dir, card, index)
    extractor = make_extractor(current, index.sample_rate, device, dtype)
    units = KMeansUnits(kmeans, device)
    speakers = gather_speakers(index, rows.tolist(), extractor, card.transform)
    audio_seconds = index.num_samples[rows].sum() / index.sample_rate
    progress = AudioProgress(f"labels, shard {job} of {num_jobs}", float(audio_seconds), report)

    def ids(row: int, features: Tensor) -> Tensor:
        return units(features, speakers.of(index.utt_id(row)) if speakers else None)

    def line(row: int, features: Tensor) -> str:
        progress.add(index.num_samples[row] / index.sample_rate)
        return " ".join([index.utt_id(row), *map(str, ids(row, features).tolist())]) + "\n"

    if _further(dtype) and isinstance(extractor, LayerFeatures):
        report(measure_agreement(index, rows.tolist(), extractor, ids).describe(extractor.dtype))
    files.part_card(job).unlink(missing_ok=True)
    with atomic_write(files.part(job)) as stream:
        stream.writelines(map_features(index, rows, extractor, line))
    write_json(files.part_card(job), part_card)
    return len(rows)


def merge_labels(
    kmeans_dir: str | Path, dump_set: str | Path, *, num_jobs: int, dtype: str | None = None
) -> tuple[PackedLabels, LabelStatistics]:
    """Join the shards into labels/<set>.txt (written last) and labels/<set>/, in the order of the index; check them.

    Raises:
        UserError: a shard is missing or was made from something else, or what `check_labels` refuses.
    """
    card = require_card(kmeans_dir)
    index = AudioIndex.open(dump_set)
    files = LabelFiles(kmeans_dir, dump_set)
    for job in range(1, num_jobs + 1):
        part_card = read_json(files.part_card(job))
        if part_card is None or part_card.get("fingerprint") != labels_hash(
            index, card, *_further(dtype), job, num_jobs
        ):
            raise UserError(
                f"{files.part(job)}: missing, or made from another k-means or index, or with another --dtype; "
                f"run ssl_kmeans_labels --job {job} --num_jobs {num_jobs} again"
            )
    parts = [files.part(job) for job in range(1, num_jobs + 1)]
    statistics = label_statistics(_read_parts(parts, index), card.num_clusters)
    counts = np.fromiter((len(labels) for labels in _read_parts(parts, index)), dtype=np.int64, count=len(index))
    check_labels(counts, statistics, index, label_rate=card.label_rate, source=str(files.text))
    packed = pack_labels(
        _read_parts(parts, index),
        files.packed,
        num_classes=card.num_clusters,
        label_rate=card.label_rate,
        index_hash=index.hash,
        source={"kmeans": str(kmeans_dir), "kmeans_hash": card.hash, "dump_set": str(dump_set)}
        | ({"dtype": dtype} if dtype and _further(dtype) else {}),
        source_hash=labels_hash(index, card, *_further(dtype)),
    )
    with atomic_write(files.text, "wb") as stream:
        for part in parts:
            with open(part, "rb") as lines:
                shutil.copyfileobj(lines, stream)
    shutil.rmtree(files.parts)
    return packed, statistics


def _further(dtype: str | None) -> tuple[str, ...]:
    """What is added to a mark: nothing for float32, so that labels of older versions stay good."""
    return () if dtype in (None, FLOAT32) else (dtype,)


def _read_parts(parts: list[Path], index: AudioIndex) -> Iterator[np.ndarray]:
    """(units,) of each row of the index."""
    row = 0
    for part in parts:
        with open(part, encoding="utf-8") as stream:
            for line in stream:
                utt_id, _, units = line.partition(" ")
                assert utt_id.rstrip("\n") == index.utt_id(row), (part, utt_id, index.utt_id(row))
                yield np.array(units.split(), dtype=np.int32)
                row += 1
    assert row == len(index), (parts, row, len(index))
