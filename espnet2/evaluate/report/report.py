"""An experiment in, its report.html out: is the model any good, how did it get there, and what is not known."""

import platform
from pathlib import Path

import torch
from markupsafe import Markup

from espnet2.evaluate.parts import PARTS
from espnet2.evaluate.report.config_table import Setting, settings_of
from espnet2.evaluate.report.curves import curve_groups
from espnet2.evaluate.report.data import write_data
from espnet2.evaluate.report.experiment import Experiment, figures_as_written
from espnet2.evaluate.report.layers import layer_charts
from espnet2.evaluate.report.page import NOT_EVALUATED, Section, charts, folded, remark, render, table, write_page
from espnet2.evaluate.report.verdict import cards, judge, lamps, method_note, missing
from espnet2.utils.clock import format_seconds
from espnet2.utils.provenance import current_code, distinct_codes

REPORT_NAME = "report.html"
CURVE_TITLES = {
    "loss": "Loss, accuracy and probe",
    "health": "Health",
    "schedule": "Schedule and gradient",
    "speed": "Speed",
}
NO_HISTORY = "There is no history.jsonl, so there are no curves: packed models come without it."


def write_report(experiment: Experiment) -> Path:
    """Write exp/<name>/report.html, whole or not at all, and its data beside it: report.csv and report.json.

    Raises:
        UserError: a figure in one of its files is not what the page expects.
    """
    path = experiment.directory / REPORT_NAME
    with figures_as_written(experiment.directory):
        facts, sections = facts_of(experiment), sections_of(experiment)
        write_data(path, [experiment], [experiment.name])
    write_page(
        path,
        kicker="Report of a self-supervised speech model",
        heading=experiment.name,
        facts=facts,
        sections=sections,
        footer=f"Made by ssl_report from the files of {experiment.directory}; the page needs nothing but "
        "itself. Its figures are in report.csv, figures and curves in report.json.",
    )
    return path


def facts_of(experiment: Experiment) -> list[str]:
    """A line about the training."""
    log, facts = dict(experiment.log.facts), []
    if "model" in log:
        facts += log["model"].split("; ")
    if experiment.updates:
        facts.append(f"{experiment.updates:,} updates")
    if experiment.heard_seconds:
        facts.append(f"{experiment.heard_seconds / 3600:,.1f} h of audio heard")
    if experiment.done:
        facts.append(f"trained in {format_seconds(experiment.done['wall_seconds'])}")
    if experiment.log.last_time:
        facts.append(f"until {experiment.log.last_time}")
    return facts


def sections_of(experiment: Experiment) -> list[Section]:
    """Every section, in the order of the page."""
    curves = curve_groups(experiment.history, experiment.lights)
    return [
        Section("summary", "Is it any good?", _summary(experiment), short="Summary"),
        _layers(experiment),
        *_own_sections(experiment),
        Section(
            "curves",
            "Training curves",
            Markup("").join(
                Markup("<h3>{}</h3>{}").format(title, charts(curves[group]))
                for group, title in CURVE_TITLES.items()
                if group in curves
            ),
            NO_HISTORY,
            short="Curves",
        ),
        Section(
            "codebooks",
            "Codebook health",
            charts(curves.get("codebooks", Markup(""))),
            "This training reports no figures of codebooks: its method has none, or its history is not here."
            if experiment.history
            else NO_HISTORY,
            "How many codes are in use. Few of many, or fewer at each validation, is a collapse that begins.",
            short="Codebooks",
        ),
        _config(experiment),
        _environment(experiment),
        _stages(experiment),
    ]


def _summary(experiment: Experiment) -> Markup:
    lights, light_note = lamps(experiment)
    return render(
        "summary.html.j2",
        verdict=judge(experiment),
        cards=cards(experiment),
        lights=lights,
        light_note=light_note,
        method_note=method_note(experiment),
        missing=missing(experiment),
        warnings=experiment.log.warnings,
        has_log=bool(experiment.log.num_starts),
    )


def _layers(experiment: Experiment) -> Section:
    computed = [(part, experiment.parts[name]) for name, part in PARTS.items() if name in experiment.parts]
    drawn = layer_charts(experiment.measures)
    drawn += Markup("").join(part.layer_charts(result) for part, result in computed)
    lead = "Each layer beside what it has to beat. Low layers are near to the sound, high ones to the training target."
    body = charts(drawn) + Markup("").join(part.layer_tables(result) for part, result in computed)
    return Section("layers", "Layer by layer", body, NOT_EVALUATED, lead if drawn else "", short="Layers")


def _own_sections(experiment: Experiment) -> list[Section]:
    """Those that parts of the evaluation have, computed or not."""
    folder = experiment.directory / "eval"
    sections = [part.section(experiment.parts.get(name), folder) for name, part in PARTS.items()]
    return [section for section in sections if section is not None]


def _config(experiment: Experiment) -> Section:
    if not experiment.config_file.is_file():
        return Section("config", "Config", Markup(""), "There is no config.yaml in this experiment.")
    settings, notes = settings_of([experiment.config_file])
    changed = [setting for setting in settings if setting.differs]
    body = folded(f"{len(changed)} keys differ from the defaults", _settings(changed), css="settings", is_open=True)
    body += folded(f"All {len(settings)} keys", _settings(settings), css="settings")
    body += Markup("").join(map(remark, notes))
    return Section("config", "Config", body)


def _settings(settings: list[Setting]) -> Markup:
    return table(
        ["key", "value", "default"], [[setting.key, setting.values[0], setting.default] for setting in settings]
    )


def _environment(experiment: Experiment) -> Section:
    rows = [[what, description] for what, description in experiment.log.facts]
    if experiment.log.num_starts > 1:
        rows.append(
            ["starts", f"{experiment.log.num_starts}: the training was interrupted and went on; of the last one:"]
        )
    if experiment.log.first_time:
        rows.append(["time", f"{experiment.log.first_time} to {experiment.log.last_time}"])
    if len(codes := distinct_codes(experiment.starts)) > 1:
        rows.append(["code, from first to last", "; then ".join(code.describe() for code in codes)])
    rows += [["command of the last start", start.command] for start in experiment.starts[-1:]]
    rows += [
        ["libraries", ", ".join(f"{name} {version}" for name, version in start.libraries.items())]
        for start in experiment.starts[-1:]
    ]
    if rows:
        page = (
            f"made by {current_code().describe()} with Python {platform.python_version()}, PyTorch {torch.__version__}"
        )
        rows.append(["this page", page])
    text = "There is no train.log here, so it is not known on what the model was trained."
    return Section("environment", "Environment", table(["what", "as the log says"], rows), text)


def _stages(experiment: Experiment) -> Section:
    rows = [
        [
            f"{stage.script} {stage.number}",
            stage.title,
            "under way" if stage.seconds is None else format_seconds(stage.seconds),
        ]
        for stage in experiment.stages
    ]
    note = "The last run of each stage; recipes that run at the same time in one folder blur each other's times."
    rows += [
        [f"evaluation: {name}", "", format_seconds(part["seconds"])]
        for name, part in experiment.parts.items()
        if "seconds" in part
    ]
    text = "There is no stages.tsv beside this experiment: it was not made by a recipe, or was moved."
    return Section(
        "stages",
        "Time of each stage",
        table(["stage", "in → out", "time"], rows, numeric=[2]),
        text,
        note if rows else "",
        short="Stages",
    )
