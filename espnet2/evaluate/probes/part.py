"""The probes part of an evaluation: what small classifiers find in a mix of frozen layers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from markupsafe import Markup
from pydantic import Field

from espnet2.data.index import AudioIndex
from espnet2.evaluate.measure import Measure
from espnet2.evaluate.part import EvaluationRequest, Part, Report, scratch_folder
from espnet2.evaluate.probes.cells import Cell, Cells, Figures, Keep, row_of
from espnet2.evaluate.probes.ctc_task import CtcTask
from espnet2.evaluate.probes.forecast import ProbeLoad, forecast
from espnet2.evaluate.probes.linear import fit_linear
from espnet2.evaluate.probes.page import ACCURACIES, ERROR_RATES, layer_weights, probe_measures, probe_table
from espnet2.evaluate.probes.row import ProbeRow, ProbesJson
from espnet2.evaluate.probes.tasks import ClassTask, describe, examples_of, open_languages, open_phones, open_speakers
from espnet2.evaluate.report.page import folded
from espnet2.evaluate.systems import BARE, System, open_system
from espnet2.text.ctc import TextRules
from espnet2.units.alignment import find_phones
from espnet2.units.features import FeatureExtractor
from espnet2.units.transcripts import TRANSCRIPT, SkippedTask
from espnet2.utils.config import Config, parse_config
from espnet2.utils.files import hash_file

RULES = 1  # raised when a change of the code changes figures
CLASS_TASKS = {"phone": open_phones, "speaker": open_speakers, "language": open_languages}
MODELS = ("untrained", "model")  # systems with several layers

TaskName = Literal["phone", "speaker", "language", "ctc"]


class ProbeOptions(Config):
    """`options["probes"]` of a request."""

    tasks: tuple[TaskName, ...] | None = Field(None, description="default: phone; with effort full: all")
    token_types: tuple[Literal["char", "bpe", "phn"], ...] = Field(("char", "phn"), description="of CTC, a row each")
    linear_ctc: bool = Field(False, description="CTC without the LSTM")
    token_list: Path | None = Field(None, description="of stage 5, for one token type; else made here")
    bpe_model: Path | None = Field(None, description="of stage 5, beside a token list of bpe")
    nbpe: int = Field(100, gt=3, description="pieces, where the sentencepiece model is made here")
    cleaner: str = Field("none", description="none or tacotron, as in stage 5")
    g2p: str = Field("none", description="of phn: g2p_en makes phones of English transcripts; none: the alignments'")
    plain_text: bool = Field(True, description="lower case, without punctuation")

    def chosen_tasks(self, effort: str) -> tuple[str, ...]:
        """The tasks of an effort."""
        return self.tasks or (("phone",) if effort == "default" else ("phone", "speaker", "language", "ctc"))

    def rules(self, token_type: str) -> TextRules:
        """What is done to texts."""
        return TextRules(token_type, self.plain_text, self.cleaner, self.g2p, self.nbpe)


def options_of(request: EvaluationRequest) -> ProbeOptions:
    """The options of this part, checked.

    Raises:
        UserError: an unknown one.
    """
    return parse_config(ProbeOptions, request.options.get("probes"), "options of the probes")


def with_baselines(systems: Sequence[System]) -> tuple[System, ...]:
    """MFCC, log-mel and what is untrained before the models; codes are ids, which other parts judge.

    The first model untrained, where none is among the systems: models that are compared share one.
    """
    models = [system for system in systems if system.kind == "model"]
    given = {system.kind: system for system in systems if system.kind in BARE}
    bare = [given.get(name, System(name, title)) for name, title in (("mfcc", "MFCC"), ("logmel", "log-mel"))]
    untrained = [system for system in systems if system.kind == "untrained"]
    if models and not untrained:
        untrained = [System("untrained", "untrained", models[0].files)]
    return (*bare, *untrained, *models)


class Probes(Part[ProbesJson]):
    """Small classifiers and recognisers on frozen features."""

    name = "probes"
    order = 30
    title = "probes"
    summary = "what linear classifiers find in the frozen features"
    kinds = (*ACCURACIES.values(), *ERROR_RATES.values())

    def settings(self, request: EvaluationRequest) -> dict[str, object]:
        """Everything the figures depend on."""
        options = options_of(request)
        return {
            "rules": RULES,
            "systems": [_identity(system) for system in with_baselines(request.systems)],
            "tasks": list(options.chosen_tasks(request.effort)),
            "per_layer": _per_layer(request),
            "options": options.model_dump(mode="json", exclude={"tasks"}),
            "token_list": [hash_file(path) for path in (options.token_list, options.bpe_model) if path],
            "sets": [_set_identity(dump_set, request.alignments) for dump_set in request.sets],
            "seeds": list(request.seeds),
            "frame_rate": request.frame_rate,
            "layers": request.layers,
            "max_frames": [request.max_train_frames, request.max_valid_frames],
        }

    def forecast_seconds(self, request: EvaluationRequest) -> float:
        """From the speed of each system on a few seconds of noise, and of a few updates of each probe."""
        options = options_of(request)
        tasks = [task for task in options.chosen_tasks(request.effort) if _has_targets(task, request)]
        if not tasks:
            return 0.0
        load = ProbeLoad(tasks, len(options.token_types), _per_layer(request))
        return forecast(request, with_baselines(request.systems), load)

    def run(self, request: EvaluationRequest, report: Report) -> ProbesJson:
        """Task after task; each figure is kept as soon as it is there, and not computed again."""
        settings = self.settings(request)
        sample_rate = AudioIndex.open(request.train_set).sample_rate
        systems = with_baselines(request.systems)
        opened = {system: open_system(system, sample_rate, request.device, request.layers) for system in systems}
        shared = {key: settings[key] for key in settings.keys() - {"systems", "tasks", "seeds", "per_layer", "options"}}
        cells = Cells(scratch_folder(request.exp, self.name), shared)
        rows: list[ProbeRow] = []
        notes: list[str] = []
        for title, run_task in _plan(request):
            try:
                task_rows, told = run_task(request, opened, cells, report)
            except SkippedTask as reason:
                task_rows, told = [], (f"{title}: left out: {reason}",)
                report(f"probes: {told[0]}")
            rows += task_rows
            notes += [note for note in told if note not in notes]
        return {"rows": [row.as_json() for row in rows], "notes": notes}

    def measures(self, result: ProbesJson) -> list[Measure]:
        return probe_measures(result)

    def layer_charts(self, result: ProbesJson) -> Markup:
        return layer_weights(result.get("rows", []))

    def layer_tables(self, result: ProbesJson) -> Markup:
        return folded("All figures of the probes", probe_table(result.get("rows", [])))


TaskRun = Callable[
    [EvaluationRequest, Mapping[System, FeatureExtractor], Cells, Report], tuple[list[ProbeRow], Sequence[str]]
]


def _plan(request: EvaluationRequest) -> list[tuple[str, TaskRun]]:
    """Each task with its title."""
    options = options_of(request)
    plan: list[tuple[str, TaskRun]] = []
    for name in options.chosen_tasks(request.effort):
        if name == "ctc":
            plan += [(f"CTC on {kind}", partial(_run_ctc, kind)) for kind in options.token_types]
        else:
            plan.append((f"{name} probe", partial(_run_classes, name)))
    return plan


def _has_targets(task: str, request: EvaluationRequest) -> bool:
    """Whether both sets have what the task is about, as far as a look at the files tells."""
    if task == "phone":
        return all(find_phones(dump_set, request.alignments) for dump_set in request.sets)
    return task != "ctc" or all((dump_set / TRANSCRIPT).is_file() for dump_set in request.sets)


def _per_layer(request: EvaluationRequest) -> list[str]:
    """Systems whose single layers get a phone probe, too: the curve over layers in the report."""
    return ["model"] if request.effort == "default" else list(MODELS)


def _identity(system: System) -> list[str]:
    return [system.kind, system.title, system.source_hash]


def _set_identity(dump_set: Path, alignments: Path | None) -> list[str]:
    phones = find_phones(dump_set, alignments)
    tables = (dump_set / name for name in ("utt2spk", TRANSCRIPT))
    index = AudioIndex.open(dump_set)
    hashes = [hash_file(table) if table.is_file() else "" for table in tables]
    return [index.hash, ",".join(index.languages), phones.hash if phones else "", *hashes]


def _run_classes(
    name: str, request: EvaluationRequest, opened: Mapping[System, FeatureExtractor], cells: Cells, report: Report
) -> tuple[list[ProbeRow], Sequence[str]]:
    """Rows of one linear probe: the learned mix of each system, and single layers where the report draws them."""
    task = CLASS_TASKS[name](request, list(opened.values()))
    rows = []
    for system, extractor in opened.items():
        numbers: list[int | None] = [None]
        if name == "phone" and system.kind in _per_layer(request):
            numbers += list(extractor.layers)
        cells_of_system = [Cell(name, _identity(system), layer, seed) for layer in numbers for seed in request.seeds]
        figures = cells.complete(cells_of_system, partial(_class_figures, task, extractor, request.device))
        for layer in numbers:
            layer_figures = [figures[cell] for cell in cells_of_system if cell.layer == layer]
            rows.append(row_of(name, system, layer, request.seeds, layer_figures, describe(task)))
        mixed = rows[-len(numbers)]
        report(f"probes: {name}, {system.title}: {mixed.means['accuracy']:.3f} (majority {mixed.facts.majority:.3f})")
    return rows, task.notes


def _class_figures(
    task: ClassTask, extractor: FeatureExtractor, device: str, missing: Sequence[Cell], keep: Keep
) -> None:
    train, test = examples_of(task, extractor)
    for cell in missing:
        sides = (train, test)
        if cell.layer is not None:
            index_of_layer = extractor.layers.index(cell.layer)
            sides = (train.only(index_of_layer), test.only(index_of_layer))
        result = fit_linear(*sides, task.num_classes, seed=cell.seed, device=device)
        keep(cell, Figures({"accuracy": result.accuracy}, result.layer_weights))


def _run_ctc(
    token_type: str, request: EvaluationRequest, opened: Mapping[System, FeatureExtractor], cells: Cells, report: Report
) -> tuple[list[ProbeRow], Sequence[str]]:
    """Rows of one recogniser: error rates of each system."""
    options = options_of(request)
    task = CtcTask(
        request,
        list(opened.values()),
        options.rules(token_type),
        linear=options.linear_ctc,
        token_list=options.token_list,
        bpe_model=options.bpe_model,
    )
    name = f"ctc {task.rules} {task.linear} {task.tokens.hash}"
    rows = []
    for system, extractor in opened.items():
        cells_of_system = [Cell(name, _identity(system), None, seed) for seed in request.seeds]
        figures = cells.complete(cells_of_system, partial(_ctc_figures, task, extractor, request.device))
        rows.append(
            row_of("ctc", system, None, request.seeds, [figures[cell] for cell in cells_of_system], task.describe())
        )
        means = rows[-1].means
        rates = ", ".join(f"{key} {means[key]:.3f}" for key in ("wer", "cer", "per") if key in means)
        report(f"probes: CTC on {token_type}, {system.title}: {rates}")
    return rows, task.notes


def _ctc_figures(task: CtcTask, extractor: FeatureExtractor, device: str, missing: Sequence[Cell], keep: Keep) -> None:
    spoken = task.spoken(extractor)
    for cell in missing:
        keep(cell, task.score(spoken, cell.seed, device))
