"""The units part of an evaluation: what units of each layer are worth, at one K, one rate and on the same frames."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.evaluate.measure import Measure
from espnet2.evaluate.part import EvaluationRequest, Part, Report
from espnet2.evaluate.report.page import Section
from espnet2.evaluate.systems import System, open_system
from espnet2.evaluate.units.figures import heat_map, measure_units, summarise
from espnet2.evaluate.units.learned import LearnedUnits, forget_others, units_of
from espnet2.evaluate.units.page import PNMI, units_measures, units_section
from espnet2.evaluate.units.row import SetJson, UnitRow, UnitsJson
from espnet2.units.aligned import AlignedSet, align_set, collect, missing_phones
from espnet2.units.alignment import find_phones
from espnet2.units.features import FeatureExtractor, LayerFeatures
from espnet2.units.kmeans import assign
from espnet2.units.own_codes import CodeFeatures

RULES = 1  # of what the figures mean; a new number makes all of them stale
GROUP_BYTES = 2 << 30  # features in memory at once; layers that do not fit are extracted in further passes
TRIAL_SECONDS = 10.0  # of noise, for the forecast
TRIAL_FRAMES = 8192
FIT_PASSES = 40  # of k-means over all frames: measured for 100 clusters, with starts and assignment; most need fewer

Sets = tuple[AlignedSet, AlignedSet]  # train, valid


def evaluate_units(request: EvaluationRequest, report: Report = lambda line: None, *, keep: bool = False) -> UnitsJson:
    """Learn units on every layer of every system, and measure them on both sets.

    Args:
        keep: what was learned is kept under exp/<name>/eval/.units, for ABX, and for a run that is stopped.

    Returns:
        "rows", one for each layer of each system; "train" and "valid", what was measured on; "notes"; the rules.

    Raises:
        UserError: missing models or sets, alignments of other audio, or features that do not fit the frame rate.
    """
    sample_rate = AudioIndex.open(request.train_set).sample_rate
    extractors = [open_system(system, sample_rate, request.device, request.layers) for system in request.systems]
    sets, notes = _open_sets(request, extractors)
    rows: list[UnitRow] = []
    used = []
    for system, extractor in zip(request.systems, extractors, strict=True):
        learned = LearnedUnits.of(system, sets[0], request, keep=keep)
        used += learned.files(extractor.layers)
        system_rows = [row for part in fitting_parts(extractor, sets) for row in _rows(system, part, sets, learned)]
        system_rows, best = _with_best(system_rows)
        pnmi = (
            f"layer {best.layer or '-'} of {len(system_rows)}, PNMI {best.valid.means['pnmi']:.3f}" if best else "done"
        )
        report(f"units: {system.title}: {pnmi} on {request.valid_set}")
        rows += system_rows
    if keep:
        forget_others(request.exp, used)
    return {
        "num_clusters": request.num_clusters,
        "frame_rate": request.frame_rate,
        "seeds": list(request.seeds),
        "train": _describe_set(request.train_set, sets[0]),
        "valid": _describe_set(request.valid_set, sets[1]),
        "rows": [row.as_json() for row in rows],
        "notes": [*notes, *_code_notes(rows, request.num_clusters)],
    }


def _open_sets(request: EvaluationRequest, extractors: Sequence[FeatureExtractor]) -> tuple[Sets, list[str]]:
    """Both sets with what phones they have, none where the valid set has none; and what there is to say about them."""
    train, valid = (
        align_set(name, extractors, request.frame_rate, max_frames, alignments=request.alignments, need_phones=False)
        for name, max_frames in request.limited_sets
    )
    notes = [*train.notes, *valid.notes]
    if valid.phones is None:
        without = [request.train_set] * (train.phones is None) + [request.valid_set]
        notes.append(
            f"{' and '.join(missing_phones(name, request.alignments) for name in without)}: purity and PNMI are not "
            "computed, only what the units alone tell; put phones.ctm into the sets, or name a folder with "
            "--alignment_phoneme_dir"
        )
        train = replace(train, phones=None)
    elif train.phones is None:
        notes.append(
            f"{missing_phones(request.train_set, request.alignments)}: the layers are chosen on {request.valid_set}, "
            "where they are measured, too, which flatters every system; phones.ctm in the train set avoids that"
        )
    return (train, valid), notes


def fitting_parts(extractor: FeatureExtractor, sets: Sequence[AlignedSet]) -> Iterator[FeatureExtractor]:
    """The extractor, or the same with some of its layers at a time, as many as fit into memory."""
    frames = sum(int(aligned.frame_counts.sum()) for aligned in sets)
    together = max(1, GROUP_BYTES // max(1, 4 * frames * extractor.dim))
    if extractor.num_layers <= together or not isinstance(extractor, LayerFeatures):
        yield extractor
        return
    for first in range(0, extractor.num_layers, together):
        yield extractor.only(extractor.layers[first : first + together])


def _rows(system: System, extractor: FeatureExtractor, sets: Sets, learned: LearnedUnits) -> list[UnitRow]:
    """One row for each layer."""
    request = learned.request
    features = [collect(aligned, extractor, request.frame_rate) for aligned in sets]
    own_rate = extractor.geometry.frame_rate
    about = (system.kind, system.title, system.model, system.tag, system.hash, request.frame_rate, own_rate)
    rows = []
    for number, train, valid in zip(extractor.layers, *features, strict=True):
        seeds: tuple[int, ...] = ()
        if isinstance(extractor, CodeFeatures):
            units, num_units = [[_ids(train)], [_ids(valid)]], extractor.num_codes
        else:
            centroids = learned.centroids(number, train)
            units = [units_of(frames, centroids, request.device) for frames in (train, valid)]
            num_units, seeds = request.num_clusters, request.seeds
        rate = min(request.frame_rate, own_rate)
        train_figures, valid_figures = (
            summarise([measure_units(unit_ids, aligned, num_units, rate) for unit_ids in units_of_seeds])
            for units_of_seeds, aligned in zip(units, sets, strict=True)
        )
        means_phones = sets[1].phones is not None and system.kind in ("model", "codes")
        heatmap = heat_map(units[1][0], sets[1], num_units) if means_phones else None
        figures = (train_figures, valid_figures)
        rows.append(UnitRow(*about, number or None, num_units, seeds, *figures, heatmap=heatmap))
    return rows


def _ids(codes: Tensor) -> np.ndarray:
    """(frames, 1) -> (frames,)"""
    return codes[:, 0].long().numpy()


def _with_best(rows: Sequence[UnitRow]) -> tuple[list[UnitRow], UnitRow | None]:
    """Choose the layer of a system on train, or where only valid has phones there; others keep no heat map.

    None where there are no phones to choose by.
    """
    best = None
    if "pnmi" in rows[0].train.means:
        best = max(rows, key=lambda row: row.train.means["pnmi"])
    elif "pnmi" in rows[0].valid.means:
        best = max(rows, key=lambda row: row.valid.means["pnmi"])
    return [replace(row, best=row is best, heatmap=row.heatmap if row is best else None) for row in rows], best


def _describe_set(dump_set: Path, aligned: AlignedSet) -> SetJson:
    return {
        "set": str(dump_set),
        "index_hash": aligned.index.hash,
        "num_utterances": len(aligned.rows),
        "num_frames": int(aligned.frame_counts.sum()),
        "phones": aligned.origin if aligned.phones is not None else None,
        "num_phones": aligned.num_phones,
    }


def _code_notes(rows: Sequence[UnitRow], num_clusters: int) -> list[str]:
    different = {row.title: row.num_units for row in rows if row.num_units != num_clusters}
    return [
        f"{title}: K = {number}, not {num_clusters}: more units tell more of the phone, whatever they are"
        for title, number in different.items()
    ]


class Units(Part[UnitsJson]):
    """Discrete units of every layer beside phones."""

    name = "units"
    order = 10
    title = "units"
    summary = "how well discrete units tell phones apart"
    kinds = (PNMI,)

    def settings(self, request: EvaluationRequest) -> Mapping[str, object]:
        """Everything the figures depend on."""
        sets = {}
        for role in ("train", "valid"):
            dump_set = request.train_set if role == "train" else request.valid_set
            phones = find_phones(dump_set, request.alignments)
            sets[role] = [AudioIndex.open(dump_set).hash, phones.hash if phones else ""]
        chosen = {"chosen_on": "valid"} if sets["valid"][1] and not sets["train"][1] else {}
        return {
            "rules": RULES,
            **chosen,
            "systems": [[system.kind, system.title, system.hash] for system in request.systems],
            "sets": sets,
            "num_clusters": request.num_clusters,
            "seeds": list(request.seeds),
            "frame_rate": request.frame_rate,
            "layers": request.layers,
            "max_frames": [request.max_train_frames, request.max_valid_frames],
        }

    def forecast_seconds(self, request: EvaluationRequest) -> float:
        """From the speed of each system on a few seconds of noise, and of k-means on a few thousand frames."""
        sample_rate = AudioIndex.open(request.train_set).sample_rate
        frames = [
            min(limit, AudioIndex.open(name).total_samples / sample_rate * request.frame_rate)
            for name, limit in request.limited_sets
        ]
        noise = 0.1 * torch.randn(round(TRIAL_SECONDS * sample_rate), generator=torch.Generator().manual_seed(0))
        seconds = 0.0
        for system in request.systems:
            extractor = open_system(system, sample_rate, request.device, request.layers)
            began = time.monotonic()
            extractor.extract([noise])
            seconds += (time.monotonic() - began) * sum(frames) / (request.frame_rate * TRIAL_SECONDS)
            if not isinstance(extractor, CodeFeatures):
                fits = extractor.num_layers * len(request.seeds)
                seconds += fits * FIT_PASSES * frames[0] * _pass_seconds(extractor.dim, request)
        return seconds

    def run(self, request: EvaluationRequest, report: Report) -> UnitsJson:
        """As `evaluate_units`."""
        return evaluate_units(request, report, keep=True)

    def measures(self, result: UnitsJson) -> list[Measure]:
        return units_measures(result)

    def section(self, result: UnitsJson | None, folder: Path) -> Section:
        return units_section(result)


def _pass_seconds(dim: int, request: EvaluationRequest) -> float:
    """Of k-means, for one frame."""
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(TRIAL_FRAMES, dim, generator=generator).to(request.device)
    centroids = torch.randn(request.num_clusters, dim, generator=generator).to(request.device)
    began = time.monotonic()
    assign(frames, centroids).cpu()
    return (time.monotonic() - began) / TRIAL_FRAMES
