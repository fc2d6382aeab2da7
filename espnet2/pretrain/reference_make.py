"""Finished trainings of one config and corpus, differing by chance only, in; their mean curves and spread out."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np

from espnet2.pretrain.inputs import DataPaths, open_inputs
from espnet2.pretrain.reference import (
    Curve,
    Point,
    Reference,
    Subject,
    data_differences,
    describe_subject,
    differences,
    read_references,
    write_references,
)
from espnet2.pretrain.run_files import DONE_NAME, LIGHTS_NAME, DoneJson, SubjectJson
from espnet2.ssl.objective import objective_class
from espnet2.tasks.config import SSLConfig, load_config
from espnet2.train.history import HistoryLine, points, read_history
from espnet2.utils.errors import UserError
from espnet2.utils.json_record import require_record

ACCURACY = re.compile(r"(^|\.)(masked|contrastive)_accuracy$")
PROBE = "probe_pnmi"
RUNS_TO_MEASURE = 3  # of fewer the spread is assumed
MEASURED_DEVIATIONS = 2.0  # of a normal distribution 95 % lie within
SMALLEST_SHARE = 0.03  # of the mean: three runs agree closely by chance, and other machines round otherwise
ASSUMED_SHARE = 0.10  # of the mean, where it is not measured
SIGNIFICANT = 5  # digits in the file


class TrainedOn(TypedDict):
    """As much of traffic_light.json as is read here."""

    subject: SubjectJson


def make_reference(experiments: Sequence[Path], corpus: str, paths: DataPaths | None = None) -> Reference:
    """The curves of one or several runs.

    Args:
        experiments: exp/<name> of finished trainings.
        corpus: its name, for the log.
        paths: the data they were trained on; needed only where exp/<name> does not say (traffic_light.json).

    Raises:
        UserError: a training that is not finished, runs of different config, data or length, or nothing in common.
    """
    subjects = [_subject(experiment, paths) for experiment in experiments]
    for experiment, subject in zip(experiments[1:], subjects[1:], strict=True):
        _check_alike(experiments[0], subjects[0], experiment, subject)
    histories = [read_history(experiment) for experiment in experiments]
    config = load_config(experiments[0] / "config.yaml")
    target_moves = any(objective_class(entry.name).target_moves for entry in config.loss)
    curves = {
        name: Curve(better, spread_points([dict(points(lines, "valid", name)) for lines in histories]))
        for name, better in chosen_figures(histories, target_moves).items()
    }
    curves = {name: curve for name, curve in curves.items() if curve.points}
    if not curves:
        raise UserError(f"{experiments[0]}/history.jsonl: no validation that all runs have in common")
    runs = tuple(_describe_run(experiment) for experiment in experiments)
    return Reference(corpus, subjects[0], curves, spread_rule(len(runs)), runs)


def add_reference(path: Path, reference: Reference) -> int:
    """Put it into a file, in the place of one of the same config, length and data; how many the file has then.

    Raises:
        UserError: the file is there, but of another version.
    """
    kept = [other for other in read_references(path) if not _is_same(other, reference)] if path.exists() else []
    write_references(path, [*kept, reference])
    return len(kept) + 1


def chosen_figures(histories: Sequence[Sequence[HistoryLine]], target_moves: bool) -> dict[str, str]:
    """Figure -> what is better: accuracies, or else the loss, and the probe."""
    valid = [[line for line in lines if line.dataset == "valid"] for lines in histories]
    names = set.intersection(*({name for line in lines for name in line.figures} for lines in valid))
    accuracies = sorted(name for name in names if ACCURACY.search(name))
    loss = {} if accuracies else {"loss": "near" if target_moves else "lower"}
    probe = {PROBE: "higher"} if PROBE in names else {}
    return dict.fromkeys(accuracies, "near" if target_moves else "higher") | loss | probe


def spread_points(curves: Sequence[Mapping[float, float]]) -> tuple[Point, ...]:
    """Mean and spread over runs, at the updates that all have; see `spread_rule`."""
    updates = sorted(set.intersection(*(set(curve) for curve in curves)))
    curve_points = []
    for update in updates:
        values = np.array([curve[update] for curve in curves])
        mean = float(values.mean())
        if len(values) >= RUNS_TO_MEASURE:
            spread = max(MEASURED_DEVIATIONS * float(values.std(ddof=1)), SMALLEST_SHARE * abs(mean))
        else:
            spread = max(float(np.ptp(values)), ASSUMED_SHARE * abs(mean))
        curve_points.append(Point(int(update), float(f"{mean:.{SIGNIFICANT}g}"), float(f"{spread:.{SIGNIFICANT}g}")))
    return tuple(curve_points)


def spread_rule(num_runs: int) -> str:
    """How the spread came about, in words.

    >>> spread_rule(1)
    'assumed: 10 % of the value, as there is one run'
    """
    if num_runs >= RUNS_TO_MEASURE:
        least = f"{100 * SMALLEST_SHARE:.0f} % of the mean"
        return f"{MEASURED_DEVIATIONS:g} standard deviations of {num_runs} runs, at least {least}"
    share = f"assumed: {100 * ASSUMED_SHARE:.0f} % of the value"
    return f"{share}, as there is one run" if num_runs == 1 else f"{share}, or the difference of the two runs"


def _subject(experiment: Path, paths: DataPaths | None) -> Subject:
    """What a run was trained on, from its own record or from the data."""
    done = require_record(experiment / DONE_NAME, DoneJson, "the training has not ended; run its run.sh")
    if paths is None:
        remedy = "it was trained before traffic lights: name --train_sets, --valid_sets and --valid_labels"
        subject = require_record(experiment / LIGHTS_NAME, TrainedOn, remedy)["subject"]
        if subject["updates"] != done["updates"]:
            raise UserError(f"{experiment}: planned {subject['updates']} updates, but ended after {done['updates']}")
        return Subject(**subject)
    config: SSLConfig = load_config(experiment / "config.yaml")
    return describe_subject(config, open_inputs(config, paths), done["updates"])


def _check_alike(first: Path, one: Subject, second: Path, other: Subject) -> None:
    differing = differences(one.config, other.config) + data_differences(one.data, other.data)
    if one.updates != other.updates:
        differing.append(f"updates: {one.updates} there, {other.updates} here")
    if one.probe != other.probe:
        differing += [f"probe {difference}" for difference in differences(one.probe, other.probe)]
    if differing:
        lines = "".join(f"\n  {difference}" for difference in differing)
        raise UserError(f"{second} is no repetition of {first}:{lines}\ngive runs that differ in their seed only")


def _is_same(one: Reference, other: Reference) -> bool:
    """Whether two references are of the same trainings."""
    return (
        one.subject.updates == other.subject.updates
        and not differences(one.subject.config, other.subject.config)
        and not data_differences(one.subject.data, other.subject.data)
    )


def _describe_run(experiment: Path) -> dict[str, object]:
    """Name, seed, machine and command of a run, for whoever wants to repeat it."""
    return {
        "name": experiment.name,
        "seed": load_config(experiment / "config.yaml").seed,
        "machine": _last(experiment / "train.log", r"INFO machine: (.*)"),
        "command": _last(experiment / "run.sh", r'espnet2\.bin\.(ssl_train .*?)(?: "\$@")?$'),
    }


def _last(path: Path, pattern: str) -> str:
    """What the group of a pattern matches last in a file; "" if nowhere."""
    matches = re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE) if path.exists() else []
    return matches[-1] if matches else ""
