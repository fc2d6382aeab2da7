"""Several experiments in, one page of them side by side out: figures, curves over each other, configs."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from espnet2.evaluate.measure import Kind
from espnet2.evaluate.published import FIGURES, SUPERB_COLUMNS, SUPERB_ROWS
from espnet2.evaluate.report.chart import Level, Series, line_chart
from espnet2.evaluate.report.config_table import settings_of
from espnet2.evaluate.report.curves import STEPS, curves_together
from espnet2.evaluate.report.data import write_data
from espnet2.evaluate.report.experiment import Experiment
from espnet2.evaluate.report.measures import KINDS, rules_of
from espnet2.evaluate.report.page import Section, charts, folded, remark, table, write_page
from espnet2.evaluate.report.results import HEAD, LEGEND, NONE, Cell, row_of
from espnet2.evaluate.report.verdict import judge, missing

VALID_SET, CLUSTERS = HEAD.index("valid set"), HEAD.index("K")
GROUPS = {
    "loss": "Loss, accuracy and probe",
    "health": "Health",
    "codebooks": "Codebooks",
    "schedule": "Schedule and gradient",
    "speed": "Speed",
}


def write_comparison(path: Path, experiments: Sequence[Experiment]) -> None:
    """Write the page, whole or not at all, and its data beside it: the same name with .csv and .json."""
    titles = titles_of(experiments)
    write_data(path, experiments, titles, published=True)
    write_page(
        path,
        kicker=f"{len(experiments)} experiments side by side",
        heading="\N{NO-BREAK SPACE}· ".join(titles),
        facts=[],
        sections=[
            _figures(experiments, titles),
            _layers(experiments, titles),
            _published(experiments, titles),
            _curves(experiments, titles),
            _config(experiments, titles),
            _missing(experiments, titles),
        ],
        footer="Made by espnet2.bin.compare; the page needs nothing but itself. Its figures are in "
        f"{path.with_suffix('.csv').name}, figures and curves in {path.with_suffix('.json').name}.",
    )


def titles_of(experiments: Sequence[Experiment]) -> list[str]:
    """Names, or whole paths where two names are alike."""
    names = [experiment.name for experiment in experiments]
    return names if len(set(names)) == len(names) else [str(experiment.directory) for experiment in experiments]


def _figures(experiments: Sequence[Experiment], titles: Sequence[str]) -> Section:
    """The row of each in RESULTS.md, without columns that nobody has."""
    rows = [[Cell(title), *row_of(experiment)[1:]] for title, experiment in zip(titles, experiments, strict=True)]
    kept = [column for column in range(len(HEAD)) if any(row[column].text != NONE for row in rows)]
    head = [*(HEAD[column] for column in kept), "verdict"]
    cells = [
        [*(_shown(row[column]) for column in kept), judge(experiment).title]
        for row, experiment in zip(rows, experiments, strict=True)
    ]
    shown = table(head, cells, numeric=[position for position, column in enumerate(kept) if column > 1], caption=LEGEND)
    measured = {(row[VALID_SET].text, row[CLUSTERS].text) for row in rows if row[CLUSTERS].text != NONE}
    if len(measured) > 1:
        shown += remark(
            "These figures are not of the same valid set and K, so they must not be ranked: evaluate all alike."
        )
    return Section("figures", "Figures", shown)


def _shown(cell: Cell) -> str | Markup:
    """The figure, and below it what it is compared with."""
    return Markup("{}<small>{}</small>").format(cell.text, cell.notes) if cell.notes else cell.text


def _layers(experiments: Sequence[Experiment], titles: Sequence[str]) -> Section:
    drawn = Markup("").join(_layer_chart(kind, experiments, titles) for kind in KINDS.values())
    text = "No measure was taken on several layers of a model: run stage 8 of the recipe."
    return Section("layers", "Layer by layer", charts(drawn), text, short="Layers")


def _layer_chart(kind: Kind, experiments: Sequence[Experiment], titles: Sequence[str]) -> Markup:
    """One line for each experiment, and MFCC of the first that has it."""
    series, levels = [], []
    for number, (title, experiment) in enumerate(zip(titles, experiments, strict=True)):
        of_kind = [measure for measure in experiment.measures if measure.kind == kind]
        layers = sorted(
            (measure.layer, kind.scaled(measure.value))
            for measure in of_kind
            if measure.system == "model" and measure.layer
        )
        if len(layers) > 1:
            series.append(Series(title, layers, f"s{number % STEPS + 1}", dots=True))
        levels += [
            Level(measure.title, kind.scaled(measure.value), "mfcc") for measure in of_kind if measure.system == "mfcc"
        ]
    rules = rules_of([measure for experiment in experiments for measure in experiment.measures], kind.key)
    warning = ["lines of different rules must not be ranked"] if len(rules) > 1 else []
    note = "; ".join([kind.note, *rules, *warning])
    return line_chart(kind.chart_title, series, levels[:1], x_label="layer", note=note)


def _published(experiments: Sequence[Experiment], titles: Sequence[str]) -> Section:
    """What others report, with the rule as far as they state it, below what these experiments have of the same kind."""
    ours = [
        [title, measure.kind.title, measure.kind.text(measure.value), measure.basis, "here"]
        for title, experiment in zip(titles, experiments, strict=True)
        for measure in experiment.measures
        if measure.best and measure.system == "model" and measure.kind.key.startswith("abx_")
    ]
    head = ["model", "figure", "value", "items, clock, limits", "source"]
    shown = table(head, [*ours, *([*figure[:2], f"{figure.value} %", *figure[3:]] for figure in FIGURES)])
    superb = [[title, *values, source] for title, (source, values) in SUPERB_ROWS.items()]
    shown += folded(
        "SUPERB: ssl_superb makes such a row of a model", table(["model", *SUPERB_COLUMNS, "source"], superb)
    )
    lead = "Facts of others, for orientation. Only figures of the same items, clock and limits may be ranked."
    return Section("published", "Beside published figures", shown, "", lead, short="Published")


def _curves(experiments: Sequence[Experiment], titles: Sequence[str]) -> Section:
    histories = {title: experiment.history for title, experiment in zip(titles, experiments, strict=True)}
    valid, train = curves_together(histories, "valid"), curves_together(histories, "train")
    body = Markup("")
    for group, title in GROUPS.items():
        drawn = charts(valid.get(group, Markup("")) + train.get(group, Markup("")))
        if drawn:
            body += folded(title, drawn, is_open=group == "loss")
    text = "No two of these experiments have curves of the same figure here."
    lead = "Losses of different methods are not comparable; their shape is."
    return Section("curves", "Training curves", body, text, lead if body else "", short="Curves")


def _config(experiments: Sequence[Experiment], titles: Sequence[str]) -> Section:
    known = [
        (title, experiment)
        for title, experiment in zip(titles, experiments, strict=True)
        if experiment.config_file.is_file()
    ]
    settings, notes = settings_of([experiment.config_file for _, experiment in known])
    notes += [f"{title} has no config.yaml." for title in titles if title not in dict(known)]
    head = ["key", *(title for title, _ in known)]
    different = [setting for setting in settings if len(set(setting.values)) > 1]
    shared = [[setting.key, *setting.values] for setting in different if all(setting.values)]
    others = [[setting.key, *setting.values] for setting in different if not all(setting.values)]
    body = folded("Keys that all have", table(head, shared), css="settings", is_open=True)
    body += folded("Keys that only some have, of other methods or parts", table(head, others), css="settings")
    body += Markup("").join(map(remark, notes))
    return Section("config", "What differs in the config", body, "Nothing: all keys are equal.", short="Config")


def _missing(experiments: Sequence[Experiment], titles: Sequence[str]) -> Section:
    sentences = [
        Markup("<li><b>{}</b>: {}</li>").format(title, sentence)
        for title, experiment in zip(titles, experiments, strict=True)
        for sentence in [*missing(experiment), *(f"warning: {warned.text}" for warned in experiment.log.warnings)]
    ]
    body = Markup('<ul class="plain">{}</ul>').format(Markup("").join(sentences)) if sentences else Markup("")
    return Section(
        "missing",
        "Missing, or good to know",
        body,
        "Nothing is missing, and no training warned of anything.",
        short="Missing",
    )
