"""Models and aligned sets in, a table of how well their units tell phones out: same K, rate and frames in each row."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from espnet2.ssl.data.index import AudioIndex
from espnet2.ssl.evaluate.aligned import AlignedSet, align_set, collect
from espnet2.ssl.evaluate.own_codes import CodeFeatures
from espnet2.ssl.units.features import FeatureExtractor, LayerFeatures, MfccFeatures
from espnet2.ssl.units.kmeans import assign, fit_kmeans
from espnet2.ssl.units.quality import UnitQuality, joint_counts, quality_of_counts
from espnet2.tasks.ssl import find_weights, load_model, load_untrained
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file

FIGURES = ("phone_purity", "cluster_purity", "pnmi")
KINDS = ("mfcc", "untrained", "model", "codes")
TOLERANCE = 1e-4  # of k-means: ten times finer than for labels, to keep the spread over seeds small


@dataclass(frozen=True)
class Row:
    """One line of the table to be."""

    name: str
    kind: str  # of KINDS
    model: str = ""  # exp/<name>
    tag: str = "latest"  # which checkpoint


@dataclass(frozen=True)
class LayerResult:
    """The units of one layer, one figure per k-means seed."""

    layer: int  # 1-based; 0 for mfcc
    train: tuple[UnitQuality, ...]
    valid: tuple[UnitQuality, ...]

    @property
    def train_pnmi(self) -> float:
        return float(np.mean([quality.pnmi for quality in self.train]))


@dataclass(frozen=True)
class RowResult:
    """All layers of one row, and the one that is best on the training frames."""

    row: Row
    teacher_hash: str  # of the weights; "" for mfcc and untrained models
    layers: tuple[LayerResult, ...]
    own_rate: float = 50.0  # frames per second of the features

    @property
    def best(self) -> LayerResult:
        return max(self.layers, key=lambda layer: layer.train_pnmi)

    def mean(self, figure: str) -> float:
        """Over the k-means seeds, on the valid set."""
        return float(np.mean([getattr(quality, figure) for quality in self.best.valid]))

    def spread(self, figure: str) -> float:
        """Largest less smallest over the k-means seeds, on the valid set."""
        return float(np.ptp([getattr(quality, figure) for quality in self.best.valid]))


def parse_rows(text: str) -> list[Row]:
    """ "mfcc untrained:exp/a model:exp/a@best_loss name=model:exp/b" -> rows; a name is made up where none is given.

    Raises:
        UserError: an unknown kind, or a model without its folder.
    """
    rows = []
    for word in text.split():
        name, equals, spec = word.rpartition("=")
        kind, _, rest = spec.partition(":")
        model, _, tag = rest.partition("@")
        if kind not in KINDS or (kind == "mfcc") == bool(model):
            raise UserError(
                f"--rows: '{word}' is none of mfcc, untrained:exp/<name>, model:exp/<name>[@<checkpoint>], "
                "codes:exp/<name> (each may start with '<title>=')"
            )
        made_up = {"mfcc": "MFCC", "untrained": "untrained", "codes": f"codes of {Path(model).name}"}
        title = name if equals else made_up.get(kind, Path(model).name)
        rows.append(Row(title, kind, model, tag or "latest"))
    if not rows:
        raise UserError("--rows is empty: nothing to evaluate")
    return rows


def make_row_extractor(row: Row, sample_rate: int, device: str) -> FeatureExtractor:
    """Every layer of the row's model.

    Raises:
        UserError: there is no such model.
    """
    if row.kind == "mfcc":
        return MfccFeatures(sample_rate)
    if row.kind == "codes":
        return CodeFeatures(load_model(row.model, device=device, tag=row.tag).model, sample_rate, device, row.model)
    if row.kind == "model":
        model = load_model(row.model, device=device, tag=row.tag).model
    else:
        model = load_untrained(row.model).model.to(device)
    return LayerFeatures(model, range(1, model.encoder.num_layers + 1), sample_rate, device, row.model)


def evaluate_layer(
    train: Tensor,
    valid: Tensor,
    sets: tuple[AlignedSet, AlignedSet],
    num_clusters: int,
    seeds: Sequence[int],
    device: str,
    layer: int,
) -> LayerResult:
    """Learn units on the frames of the train set, once for each seed; compare with phones on both sets.

    Args:
        train: (frames, dim) of the first set.
        valid: (frames, dim) of the second set.
    """
    found: tuple[list[UnitQuality], list[UnitQuality]] = ([], [])
    for seed in seeds:
        centroids = fit_kmeans(train, num_clusters, seed=seed, tolerance=TOLERANCE, device=device).centroids.to(device)
        for features, aligned, results in zip((train, valid), sets, found, strict=True):
            units = assign(features.to(device), centroids).cpu().numpy()
            results.append(quality_of_counts(joint_counts([(units, aligned.phones)], num_clusters, aligned.num_phones)))
    return LayerResult(layer, *map(tuple, found))


def evaluate_codes(train: Tensor, valid: Tensor, sets: tuple[AlignedSet, AlignedSet], layer: int) -> LayerResult:
    """Compare a method's own units with phones: nothing is learned.

    Args:
        train, valid: (frames, 1) ids of the frames of each set.
    """
    num_codes = int(max(train.max(), valid.max())) + 1
    results = []
    for codes, aligned in zip((train, valid), sets, strict=True):
        counts = joint_counts([(codes[:, 0].long().numpy(), aligned.phones)], num_codes, aligned.num_phones)
        results.append((quality_of_counts(counts),))
    return LayerResult(layer, *results)


def evaluate_rows(
    rows: Sequence[Row],
    train_set: str | Path,
    valid_set: str | Path,
    *,
    num_clusters: int,
    seeds: Sequence[int],
    frame_rate: float = 50.0,
    max_train_frames: int = 100_000,
    max_valid_frames: int = 100_000,
    device: str = "cpu",
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Evaluate all rows on the same frames.

    Args:
        frame_rate: frames per second at which all rows are compared.
        max_train_frames: more are not needed to learn the units.
        report: gets a line per row.

    Returns:
        What `markdown_table` and the JSON file show.

    Raises:
        UserError: missing models or alignments, or features that do not fit the frame rate.
    """
    sample_rate = AudioIndex.open(train_set).sample_rate
    extractors = [make_row_extractor(row, sample_rate, device) for row in rows]
    sets = (
        align_set(train_set, extractors, frame_rate, max_train_frames),
        align_set(valid_set, extractors, frame_rate, max_valid_frames),
    )
    results = []
    for row, extractor in zip(rows, extractors, strict=True):
        train, valid = (collect(aligned, extractor, frame_rate) for aligned in sets)
        numbers = getattr(extractor, "layers", (0,))
        layers = [
            evaluate_codes(train[i], valid[i], sets, number)
            if row.kind == "codes"
            else evaluate_layer(train[i], valid[i], sets, num_clusters, seeds, device, number)
            for i, number in enumerate(numbers)
        ]
        weights = hash_file(find_weights(row.model, tag=row.tag)) if row.kind in ("model", "codes") else ""
        results.append(RowResult(row, weights, tuple(layers), extractor.geometry.frame_rate))
        report(f"{row.name}: layer {results[-1].best.layer}, PNMI {results[-1].mean('pnmi'):.3f} on {valid_set}")
    return {
        "num_clusters": num_clusters,
        "frame_rate": frame_rate,
        "seeds": list(seeds),
        "train": _describe_set(train_set, sets[0]),
        "valid": _describe_set(valid_set, sets[1]),
        "rows": [_describe_row(result) for result in results],
    }


def _describe_set(dump_set: str | Path, aligned: AlignedSet) -> dict[str, Any]:
    return {
        "set": str(dump_set),
        "index_hash": aligned.index.hash,
        "num_utterances": len(aligned.rows),
        "num_frames": int(aligned.frame_counts.sum()),
    }


def _describe_row(result: RowResult) -> dict[str, Any]:
    return {
        **asdict(result.row),
        "teacher_hash": result.teacher_hash,
        "own_rate": result.own_rate,
        "num_units": max(quality.num_used_units for quality in result.best.valid),
        "layer": result.best.layer,
        **{figure: result.mean(figure) for figure in FIGURES},
        "spread": {figure: result.spread(figure) for figure in FIGURES},
        "layers": [asdict(layer) for layer in result.layers],
    }


def markdown_table(report: dict[str, Any]) -> str:
    """The table, with what it was measured on."""
    train, valid = report["train"], report["valid"]
    lines = [
        f"K = {report['num_clusters']}, {report['frame_rate']:g} frames per second, {valid['num_frames']:,} frames of "
        f"{valid['num_utterances']:,} utterances of {valid['set']}, silence included; units learned and "
        f"layer chosen on {train['num_frames']:,} frames of {train['set']}. "
        f"Mean over {len(report['seeds'])} seeds of k-means, ± largest less smallest." + rate_note(report),
        "",
        "| units | layer | phone purity | cluster purity | PNMI |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in report["rows"]:
        figures = " | ".join(f"{row[figure]:.3f} ± {row['spread'][figure]:.3f}" for figure in FIGURES)
        lines.append(f"| {row['name']} | {row['layer'] or '-'} | {figures} |")
    return "\n".join(lines) + "\n"


def rate_note(report: dict[str, Any]) -> str:
    """How rows of another frame rate were compared; empty where there are none."""
    rate, notes = report["frame_rate"], []
    for own in sorted({row["own_rate"] for row in report["rows"]} - {rate}, reverse=True):
        names = ", ".join(row["name"].replace("_", " ") for row in report["rows"] if row["own_rate"] == own)
        what = f"one frame of {own / rate:g} is kept" if own > rate else f"each frame counts {rate / own:g} times"
        notes.append(f" {names}: {own:g} frames per second, {what}.")
    return "".join(notes)
