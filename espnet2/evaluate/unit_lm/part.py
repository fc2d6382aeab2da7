"""The unit language model part of an evaluation: a tiny one on the units of each system, and its bits per second."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from espnet2.data.index import AudioIndex
from espnet2.evaluate.part import EvaluationRequest, Part, PartJson, Report, scratch_folder
from espnet2.evaluate.report.page import Section, table
from espnet2.evaluate.systems import System, open_system
from espnet2.evaluate.units.learned import LearnedUnits, units_of
from espnet2.evaluate.units.row import read_units
from espnet2.launch.signals import StopSignals
from espnet2.train.distributed import Ranks
from espnet2.unit_lm.config import UnitLmConfig
from espnet2.unit_lm.data import TokenSet
from espnet2.unit_lm.session import RESULT, FiguresJson, train_unit_lm, untrained_bits
from espnet2.units.aligned import AlignedSet, align_set, collect
from espnet2.units.own_codes import CodeFeatures
from espnet2.units.unit_file import run_lengths
from espnet2.utils.config import Config, parse_config
from espnet2.utils.files import hash_value, read_json

RULES = 1  # of what the figures mean; a new number makes all of them stale
UPDATE_SECONDS = 0.5  # for the forecast: the decoder of `UnitLmConfig` on 8,192 tokens, two cores
LEAD = (
    "How well a small language model, trained on the units of the training set, foresees those of the valid set: "
    "bits per second of speech, so that units of any rate and number compare. Repeats are left out. Few bits are not "
    "good by themselves: units that tell nothing cost none. Beside them stands what guessing would cost."
)


class UnitLmOptions(Config):
    """`options["unit_lm"]` of a request."""

    max_update: int = Field(300, gt=0, description="updates of each language model")
    batch_bins: int = Field(8192, gt=0, description="tokens of an update")


class UnitLmRowJson(FiguresJson):
    """One system."""

    system: str  # of espnet2.evaluate.systems.KINDS
    title: str
    layer: int | None
    K: int
    guessing_bits_per_second: float  # every token alike


class UnitLmJson(PartJson, total=False):
    """The content of eval/unit_lm.json."""

    rows: list[UnitLmRowJson]


class UnitLanguage(Part[UnitLmJson]):
    """One language model for each system, on the units of its best layer (first seed)."""

    name = "unit_lm"
    order = 35
    title = "Units as language"
    summary = "how predictable the units are"

    def settings(self, request: EvaluationRequest) -> Mapping[str, object]:
        return {
            "rules": RULES,
            "options": _options(request).model_dump(),
            "systems": [
                [system.kind, system.title, system.hash, _layer(request, system)] for system in request.systems
            ],
            "sets": [AudioIndex.open(dump_set).hash for dump_set in request.sets],
            "num_clusters": request.num_clusters,
            "seed": request.seeds[0],
            "frame_rate": request.frame_rate,
            "max_frames": [request.max_train_frames, request.max_valid_frames],
        }

    def forecast_seconds(self, request: EvaluationRequest) -> float:
        return len(request.systems) * _options(request).max_update * UPDATE_SECONDS

    def run(self, request: EvaluationRequest, report: Report) -> UnitLmJson:
        """Train one after the other; what is done is kept, and a stopped one goes on from its checkpoint.

        Raises:
            UserError: missing models or sets.
        """
        scratch = scratch_folder(request.exp, self.name)
        rows: list[UnitLmRowJson] = []
        for system in request.systems:
            train, valid, layer = _token_sets(request, system)
            folder = scratch / hash_value([train.hash, valid.hash, _options(request).model_dump()])
            if not (folder / RESULT).is_file():
                config = _config(request)
                device = torch.device(request.device)
                train_unit_lm(config, train, valid, folder, Ranks(0, 0, 1, 1, device), StopSignals())
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            rows.append(_row(folder, system, layer, valid))
            report(f"unit_lm: {system.title}: {rows[-1]['bits_per_second']:.1f} bits per second")
        note = (
            f"one language model for each system, {_options(request).max_update} updates, one seed: differences of a "
            "few per cent mean nothing; units of the layer that was best on the training set"
        )
        return {"rows": rows, "notes": [note]}

    def section(self, result: UnitLmJson | None, folder: Path) -> Section | None:
        """None where it was not computed: only --eval full does, and the summary says what is not known."""
        rows = result.get("rows", []) if result else []
        if not rows:
            return None
        head = [
            "units",
            "layer",
            "K",
            "bits per second",
            "guessing",
            "tokens per second",
            "bits per token",
            "perplexity",
        ]
        cells = [
            [
                row["title"],
                row["layer"] or "–",
                row["K"],
                *(f"{row[key]:.1f}" for key in ("bits_per_second", "guessing_bits_per_second", "tokens_per_second")),
                *(f"{row[key]:.2f}" for key in ("bits_per_token", "perplexity")),
            ]
            for row in rows
        ]
        measured = rows[0]
        caption = (
            f"{measured['seconds'] / 60:.1f} minutes of the valid set, repeats of a unit left out, the end of an "
            "utterance is a token; one layer and one seed of each"
        )
        body = table(head, cells, numeric=range(1, len(head)), caption=caption)
        return Section("unit_lm", self.title, body, lead=LEAD, short="Language")


def _options(request: EvaluationRequest) -> UnitLmOptions:
    return parse_config(UnitLmOptions, request.options.get("unit_lm"), "options of unit_lm")


def _config(request: EvaluationRequest) -> UnitLmConfig:
    options = _options(request)
    values = {
        "max_update": options.max_update,
        "batch_bins": options.batch_bins,
        "valid_interval_updates": max(1, options.max_update // 3),
        "num_workers": 0,
        "num_threads": torch.get_num_threads(),
        "seed": request.seeds[0],
        "tracker": "none",  # a training of seconds inside an evaluation
    }
    return parse_config(UnitLmConfig, values, "unit language model")


def _layer(request: EvaluationRequest, system: System) -> int | None:
    """The layer whose units were best on the training set; the last one where that is not known."""
    units = read_units(request.exp)
    for row in units.get("rows", []) if units else []:
        same = [row.get("system"), row.get("title"), row.get("teacher_hash")] == [
            system.kind,
            system.title,
            system.hash,
        ]
        if same and row.get("best") and (request.layers is None or row["layer"] in (None, *request.layers)):
            return row["layer"] or None
    return None


def _token_sets(request: EvaluationRequest, system: System) -> tuple[TokenSet, TokenSet, int | None]:
    """The units of both sets without repeats: train, valid, and the layer they are of."""
    layer = _layer(request, system)
    layers = (layer,) if layer and system.kind != "codes" else request.layers
    sample_rate = AudioIndex.open(request.train_set).sample_rate
    extractor = open_system(system, sample_rate, request.device, layers)
    sets = [
        align_set(
            dump_set, [extractor], request.frame_rate, max_frames, alignments=request.alignments, need_phones=False
        )
        for dump_set, max_frames in request.limited_sets
    ]
    which = extractor.layers.index(layer) if layer in extractor.layers else len(extractor.layers) - 1
    number = extractor.layers[which]
    frames = [collect(aligned, extractor, request.frame_rate)[which] for aligned in sets]
    if isinstance(extractor, CodeFeatures):
        num_units, ids = extractor.num_codes, [part[:, 0].long().numpy() for part in frames]
    else:
        learned = LearnedUnits.of(system, sets[0], request)
        centroids = learned.centroids(number, frames[0])[:1]
        num_units, ids = request.num_clusters, [units_of(part, centroids, request.device)[0] for part in frames]
    language = hash_value([system.kind, system.title, system.hash, number, num_units, request.seeds[0]])
    train, valid = (
        _tokens(request, aligned, units, num_units, language) for aligned, units in zip(sets, ids, strict=True)
    )
    return train, valid, number or None


def _tokens(
    request: EvaluationRequest, aligned: AlignedSet, units: np.ndarray, num_units: int, language: str
) -> TokenSet:
    return TokenSet(
        "units",
        tuple(aligned.index.utt_id(int(row)) for row in aligned.rows),
        tuple(run_lengths(part)[0].astype(np.int64) for part in aligned.split(units)),
        len(units) / request.frame_rate,
        num_units,
        language,
    )


def _row(folder: Path, system: System, layer: int | None, valid: TokenSet) -> UnitLmRowJson:
    figures = read_json(folder / RESULT)
    assert figures is not None, folder
    names = FiguresJson.__annotations__
    row = {name: figures[name] for name in names}
    about = {"system": system.kind, "title": system.title, "layer": layer, "K": valid.num_tokens}
    return {**row, **about, "guessing_bits_per_second": untrained_bits(valid)}  # type: ignore[typeddict-item]
