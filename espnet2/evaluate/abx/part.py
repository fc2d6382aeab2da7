"""The ABX part of an evaluation: error rates of phones in context, within and across speakers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from markupsafe import Markup
from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.evaluate.abx.choice import best_layers, limits_of
from espnet2.evaluate.abx.chosen import Choice, choose, item_files
from espnet2.evaluate.abx.items import summary
from espnet2.evaluate.abx.page import KINDS, AbxJson, abx_measures, abx_table, comparison_json, read_rows
from espnet2.evaluate.abx.row import AbxRow, Compared
from espnet2.evaluate.abx.rows import Materials, continuous_rows, unit_rows
from espnet2.evaluate.abx.score import NUM_RESAMPLES
from espnet2.evaluate.measure import Measure
from espnet2.evaluate.part import EvaluationRequest, Part, Report, scratch_folder
from espnet2.evaluate.report.page import folded
from espnet2.evaluate.spread import half_width, with_spread
from espnet2.evaluate.systems import System
from espnet2.evaluate.units.learned import LearnedUnits, units_of
from espnet2.evaluate.units.part import Units, fitting_parts
from espnet2.units.aligned import AlignedSet, align_set, collect, missing_phones
from espnet2.units.alignment import find_phones
from espnet2.units.features import FeatureExtractor, LayerFeatures
from espnet2.units.own_codes import CodeFeatures
from espnet2.utils.files import hash_file, hash_value, read_json, write_json

RULES = 1  # of what the figures mean; a new number makes all of them stale
NEW = ("conditions", "clock")
PAIR_SECONDS = 4e-5  # for the forecast: twice what a core took for 768 values a frame
INTERVAL = (
    f"low and high hold 95 % of {NUM_RESAMPLES:,} figures for phone pairs drawn again with replacement: they tell how "
    "much hangs on the choice of phones, not what other speakers would give."
)


class Abx(Part[AbxJson]):
    """Phones in context, told apart by distances; layers are those whose units are best."""

    name = "abx"
    order = 20
    title = "ABX"
    summary = "whether sounds of the same phone are close to each other"
    kinds = tuple(KINDS.values())

    def settings(self, request: EvaluationRequest) -> Mapping[str, object]:
        """Everything the figures depend on."""
        speakers = request.valid_set / "utt2spk"
        sets = []
        for dump_set in request.sets:
            phones = find_phones(dump_set, request.alignments)
            sets.append([AudioIndex.open(dump_set).hash, phones.hash if phones else ""])
        options = limits_of(request)
        files = {"item_files": [file.hash for file in item_files(request)]} if options.items else {}
        return {
            "rules": RULES,
            # Without what is at its default: results of the time before there were these options are still good.
            "limits": options.model_dump(exclude={"items"} | {name for name in NEW if not getattr(options, name)}),
            **files,
            "systems": [
                [system.kind, system.title, system.hash, best_layers(request, system)] for system in request.systems
            ],
            "layers": request.layers,
            "sets": sets,
            "speakers": hash_file(speakers) if speakers.exists() else "",
            "num_clusters": request.num_clusters,
            "seeds": list(request.seeds),
            "frame_rate": request.frame_rate,
            "max_frames": [request.max_train_frames, request.max_valid_frames],
        }

    def forecast_seconds(self, request: EvaluationRequest) -> float:
        """The time of the units of the same layers, which need the same features, and of the pairs of items."""
        if _lacks_phones(request):
            return 0.0
        choice = choose(request)
        pairs = 0
        for materials in _materials(choice):
            for comparison in materials.comparisons:
                pairs += 2 * comparison.mirrored_tiles.num_pairs + len(request.seeds) * comparison.tiles.num_pairs
        seconds = pairs * PAIR_SECONDS * sum(extractor.num_layers for extractor in choice.extractors)
        for system in request.systems:
            alone = replace(request, systems=(system,), layers=best_layers(request, system) or request.layers)
            seconds += Units().forecast_seconds(alone)
        return seconds

    def run(self, request: EvaluationRequest, report: Report) -> AbxJson:
        """As `evaluate_abx`, with a memory under exp/<name>/eval/.abx of the layers that are done."""
        memory = _Memory(scratch_folder(request.exp, self.name) / "rows.json")
        memory.open(hash_value(self.settings(request)))
        result = evaluate_abx(request, report, memory)
        memory.path.unlink(missing_ok=True)
        return result

    def measures(self, result: AbxJson) -> list[Measure]:
        return abx_measures(read_rows(result))

    def layer_tables(self, result: AbxJson) -> Markup:
        return folded("All figures of ABX", abx_table(read_rows(result)))


@dataclass
class _Memory:
    """Rows of finished layers, on disk, so that an interrupted run goes on."""

    path: Path

    def open(self, key: str) -> None:
        """Take what was found with the same settings."""
        self.key = key
        self.rows: dict[str, list[AbxRow]] = {}
        contents = read_json(self.path) or {}
        if contents.get("key") == key:
            self.rows = {layer_key: [AbxRow.read(row) for row in rows] for layer_key, rows in contents["rows"].items()}

    def add(self, system: System, layer: int, rows: list[AbxRow]) -> None:
        self.rows[self.layer_key(system, layer)] = rows
        values = {layer_key: [row.as_json() for row in rows] for layer_key, rows in self.rows.items()}
        write_json(self.path, {"key": self.key, "rows": values})

    def layer_key(self, system: System, layer: int) -> str:
        return f"{system.kind} {system.title} {layer}"


def evaluate_abx(request: EvaluationRequest, report: Report, memory: _Memory) -> AbxJson:
    """Compare phones in context by the features of every system, within speakers and across them.

    Schatz et al. 2013 (Interspeech), section 2, in the form of Libri-light (Kahn et al. 2020, section 3.1).

    Returns:
        "rows", one for each layer, kind of features, distance and mode; "notes"; "items"; the rules in words.

    Raises:
        UserError: missing models or sets, alignments of other audio, features that are not finite.
    """
    subsampling = limits_of(request).describe()
    if _lacks_phones(request):
        note = f"{missing_phones(request.valid_set, request.alignments)}: no ABX, which compares phones in context"
        return {"rows": [], "notes": [note], "subsampling": subsampling, "interval": INTERVAL}
    choice = choose(request)
    result: AbxJson = {
        "rows": [],
        "notes": [*choice.notes, *(compared.rule.describe() for compared in choice.comparisons), subsampling, INTERVAL],
        "items": summary(choice.comparisons[0].items),
        "comparisons": [comparison_json(compared.rule, compared.items) for compared in choice.comparisons],
        "subsampling": subsampling,
        "interval": INTERVAL,
    }
    if choice.is_empty:
        return result
    run = _Run(request, choice, _materials(choice), memory)
    rows: list[AbxRow] = []
    for system, extractor in zip(request.systems, choice.extractors, strict=True):
        layers = best_layers(request, system) or extractor.layers
        missing = [layer for layer in layers if memory.layer_key(system, layer) not in memory.rows]
        if missing:
            run.compare(system, extractor, missing, report)
        rows += [row for layer in layers for row in memory.rows[memory.layer_key(system, layer)]]
        report(f"abx: {system.title}: {len(layers)} layer{'s' * (len(layers) > 1)}, {_best_figures(rows, system)}")
    result["rows"] = [row.as_json() for row in rows]
    return result


def _lacks_phones(request: EvaluationRequest) -> bool:
    return not limits_of(request).items and find_phones(request.valid_set, request.alignments) is None


def _materials(choice: Choice) -> list[Materials]:
    return [
        Materials.of(compared.items, choice.valid.frame_counts, compared.cells, compared.rule)
        for compared in choice.comparisons
    ]


@dataclass(frozen=True)
class _Run:
    """One evaluation: everything that is the same for all systems."""

    request: EvaluationRequest
    choice: Choice
    materials: list[Materials]
    memory: _Memory

    @cached_property
    def train(self) -> AlignedSet:
        """Where units are learned: the frames that the units part learns on."""
        return align_set(
            self.request.train_set,
            self.choice.extractors,
            self.request.frame_rate,
            self.request.max_train_frames,
            alignments=self.request.alignments,
            need_phones=False,
        )

    def compare(self, system: System, extractor: FeatureExtractor, layers: Sequence[int], report: Report) -> None:
        """Add the rows of these layers to the memory; units that the units part has learned are not learned again."""
        if system.kind == "codes":
            return self._add(system, extractor, layers, None, learn=False)
        learned = LearnedUnits.of(system, self.train, self.request)
        known = [layer for layer in layers if learned.has(layer)]
        for learn, numbers in ((False, known), (True, [layer for layer in layers if layer not in known])):
            if numbers:
                where = f" of layer{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}" if any(numbers) else ""
                done = "learned now: none are kept of these settings" if learn else "taken from the units part"
                report(f"abx: {system.title}: units{where} {done}")
                self._add(system, extractor, numbers, learned, learn=learn)
        return None

    def _add(
        self,
        system: System,
        extractor: FeatureExtractor,
        layers: Sequence[int],
        learned: LearnedUnits | None,
        *,
        learn: bool,
    ) -> None:
        """Rows of layers; features of the train set are only needed where units are learned."""
        if isinstance(extractor, LayerFeatures):
            extractor = extractor.only(layers)
        sets = [self.choice.valid, self.train] if learn else [self.choice.valid]
        for part in fitting_parts(extractor, sets):
            features = [collect(aligned, part, self.request.frame_rate) for aligned in sets]
            for number, valid, *train in zip(part.layers, *features, strict=True):
                if number in layers:
                    if isinstance(part, CodeFeatures):
                        rows = self.codes(system, number, part, valid)
                    else:
                        assert learned is not None
                        centroids = partial(learned.centroids, number, train[0] if train else None)
                        rows = self.layer(system, number, valid, centroids)
                    self.memory.add(system, number, rows)

    def layer(self, system: System, number: int, valid: Tensor, centroids: Callable[[], list[Tensor]]) -> list[AbxRow]:
        """The features as they are, (frames, dim), and their units."""
        name = f"{system.title}, layer {number}" if number else system.title
        owner = (system.kind, system.title, number or None)
        frames, device = valid.to(self.request.device), self.request.device
        continuous = [row for materials in self.materials for row in continuous_rows(materials, frames, name)]
        ids = units_of(valid, centroids(), device)
        units = [row for materials in self.materials for row in unit_rows(materials, ids, device)]
        learned = (self.request.num_clusters, self.request.seeds)
        return [AbxRow(*owner, compared) for compared in continuous] + [
            AbxRow(*owner, compared, *learned) for compared in units
        ]

    def codes(self, system: System, number: int, extractor: CodeFeatures, valid: Tensor) -> list[AbxRow]:
        """A method's own units: (frames, 1) ids."""
        ids = [valid[:, 0].long().numpy()]
        owner = (system.kind, system.title, number or None)
        return [
            AbxRow(*owner, compared, extractor.num_codes, ())
            for materials in self.materials
            for compared in unit_rows(materials, ids, self.request.device)
        ]


def _best_figures(rows: Sequence[AbxRow], system: System) -> str:
    """The lowest error rates of a system, for the log."""
    best: dict[str, Compared] = {}
    for row in rows:
        if (row.system, row.title) == (system.kind, system.title):
            mode = row.compared.mode
            best[mode] = min(best.get(mode, row.compared), row.compared, key=lambda compared: compared.error_rate)
    shown = {
        mode: with_spread(compared.error_rate, half_width(compared.low, compared.high), as_percent=True)
        for mode, compared in best.items()
    }
    return ", ".join(f"{mode} {shown[mode]} ({compared.distance})" for mode, compared in best.items())
