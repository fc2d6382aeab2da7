"""The histories of trainings in, groups of charts out: loss, health, codebooks, schedule, speed."""

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from espnet2.evaluate.report.chart import Series, line_chart
from espnet2.pretrain.run_files import LightJson, LightsJson
from espnet2.train.history import OLD_DOMAIN, HistoryLine, family, figure_names, points

CODEBOOKS = re.compile(r"code|label_(entropy|perplexity)|soft_perplexity|gumbel")
SCHEDULE = ("learning_rate", "grad_norm", "clip_share", "teacher_decay", "skipped")
SPEED = ("audio_per_second", "audio_per_update", "wait_share")
COUNTS = ("label_frames",)  # sizes, no signs of health
STEPS = 8  # shades of style.css for the members of a family

EXPLAINED = {
    "loss": "what the training makes smaller",
    "masked_accuracy": "share of hidden frames whose target is guessed rightly",
    "unmasked_accuracy": "the same for frames that were not hidden",
    "contrastive_accuracy": "share of frames where the true target is told from the distractors",
    "code_perplexity": "how many codes are in use, as if all were used alike",
    "codes_used": "codes that occur at all",
    "unique_codes": "codes that occur at all",
    "label_perplexity": "how many labels are in use, as if all were used alike",
    "prediction_perplexity": "how many targets the model bets on",
    "top_code_share": "share of the most frequent code",
    "teacher_std": "spread of the teacher's frames; near 0: collapsed",
    "target_std": "spread of the targets; near 0: collapsed",
    "features_std": "spread of the frontend's frames",
    "prediction_std": "spread of the predictions; near 0: collapsed",
    "learning_rate": "size of the steps",
    "grad_norm": "length of the gradient before clipping",
    "clip_share": "share of updates whose gradient was clipped",
    "audio_per_second": "seconds of audio trained on per second",
    "audio_per_update": "seconds of audio in each update",
    "wait_share": "share of the time that the training waited for data",
    "teacher_decay": "how slowly the teacher follows its student",
    "gumbel_temperature": "how soft the choice of codes is",
}


def group_of(name: str) -> str:
    """Where a figure of the history belongs."""
    name = name.removeprefix(OLD_DOMAIN)
    if name.startswith("loss") or "accuracy" in name or "probe" in name:
        return "loss"
    if name in SCHEDULE:
        return "schedule"
    if name in SPEED:
        return "speed"
    return "codebooks" if CODEBOOKS.search(name) else "health"


def curve_groups(history: Sequence[HistoryLine], lights: LightsJson | None = None) -> dict[str, Markup]:
    """Group -> its charts, of one training: train as a line, valid with a mark at each validation.

    Args:
        lights: traffic_light.json, for the curves of reference runs.
    """
    expected = reference_curves(lights)
    names = [name for name in figure_names(history) if name not in COUNTS]
    families: dict[str, list[str]] = {}
    for name in names:
        if name.startswith(OLD_DOMAIN):  # beside the valid set's, below
            continue
        families.setdefault(family(name)[0], []).append(name)
    drawn: dict[str, list[Markup]] = {}
    for base, members in families.items():
        series = _series(history, base, members)
        title = f"{_title(base)}, {series[0].name}" if len(series) == 1 and series[0].dots else _title(base)
        chart = line_chart(title, [*series, *expected.get(base, [])], x_label="update", note=EXPLAINED.get(base, ""))
        if chart and not _is_constant_zero(history, members):
            drawn.setdefault(group_of(base), []).append(chart)
    return {group: Markup("").join(charts) for group, charts in drawn.items()}


def _title(name: str) -> str:
    return name.replace("_", " ")


def _is_constant_zero(history: Sequence[HistoryLine], members: Sequence[str]) -> bool:
    """No gradient clipped, no update skipped: nothing to draw."""
    return not any(line.figures.get(name) for line in history for name in members)


def reference_curves(lights: LightsJson | None) -> dict[str, list[Series]]:
    """Figure -> mean and spread of earlier runs, stretched to the length of this one; else what it is compared with."""
    if not lights:
        return {}
    reference = lights.get("reference")
    if not reference:
        return _own_levels(lights.get("rows", []))
    stretch = lights["subject"]["updates"] / reference["updates"]
    curves = {}
    for name, curve in reference["curves"].items():
        line = [(round(update * stretch), mean) for update, mean, _ in curve["points"]]
        band = [(mean - spread, mean + spread) for _, mean, spread in curve["points"]]
        curves[name] = [Series("reference, valid", line, "reference", dashed=True, band=band)]
    return curves


def _own_levels(rows: Sequence[LightJson]) -> dict[str, list[Series]]:
    """Figure -> what a run without reference is compared with, at each validation."""
    levels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        levels.setdefault(row["figure"], {}).setdefault(row.get("beside", "reference"), []).append(
            (row["update"], row["mean"])
        )
    return {
        figure: [Series(beside, line, "reference", dashed=True) for beside, line in lines.items()]
        for figure, lines in levels.items()
    }


def _series(history: Sequence[HistoryLine], base: str, members: Sequence[str]) -> list[Series]:
    """Train and valid of one figure; of a family its mean, if there is one, and each member while training."""
    series = []
    if base in members:
        series = [
            Series("train", points(history, "train", base), "s1"),
            Series("valid", points(history, "valid", base), "s2", dots=True),
            Series("old domain", points(history, "valid", f"{OLD_DOMAIN}{base}"), "s3", dots=True),
        ]
    numbered = sorted((name for name in members if name != base), key=lambda name: family(name)[1] or 0)
    for number, name in enumerate(numbered):
        shade = f"shade{round(number * (STEPS - 1) / max(len(numbered) - 1, 1)) + 1}"
        label = name.removeprefix(base).strip("_").replace("layer", "layer ")
        series.append(Series(f"{label}, train", points(history, "train", name), shade))
    return [curve for curve in series if curve.points]


def curves_together(histories: Mapping[str, Sequence[HistoryLine]], dataset: str) -> dict[str, Markup]:
    """Group -> charts of figures that at least two of several trainings have: one line each.

    Args:
        histories: title -> lines of history.jsonl; its place in the order is its colour.
        dataset: train or valid.
    """
    counted: dict[str, int] = {}
    for history in histories.values():
        for name in figure_names([line for line in history if line.dataset == dataset]):
            counted[name] = counted.get(name, 0) + 1
    drawn: dict[str, list[Markup]] = {}
    for name in sorted(name for name, count in counted.items() if count > 1 and family(name)[1] is None):
        lines = [
            Series(title, points(history, dataset, name), f"s{number % STEPS + 1}", dots=dataset == "valid")
            for number, (title, history) in enumerate(histories.items())
        ]
        if name not in COUNTS and any(value for line in lines for _, value in line.points):
            title = f"{_title(name)} ({dataset})"
            chart = line_chart(title, lines, x_label="update", note=EXPLAINED.get(name, ""))
            drawn.setdefault(group_of(name), []).append(chart)
    return {group: Markup("").join(charts) for group, charts in drawn.items()}
