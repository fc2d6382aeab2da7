"""Curves of earlier runs, and the rules by which a training's figures are green, yellow or red beside them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, TypedDict

from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.statistics import joined_statistics
from espnet2.pretrain.inputs import Inputs
from espnet2.pretrain.probe import PREFIX, probed_layer
from espnet2.pretrain.run_files import CurveJson
from espnet2.tasks.config import SSLConfig, resolve_config
from espnet2.train.identity import leaves
from espnet2.train.state import Validation
from espnet2.utils.config import Tag, dump_without
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_value, write_json
from espnet2.utils.recipe import find_in_recipe

FORMAT_VERSION = 1
GREEN, YELLOW = 1.0, 2.0  # spreads behind the reference, at most
SAME_SECONDS = 0.01  # data sets of as many utterances are the same if their seconds differ by this share at most
SAME_LABELS = 0.05  # labels of as many classes are alike if perplexity and run length differ by this share at most
LENGTHS = 1.5  # runs up to so many times longer or shorter are compared at the same share of the run
OTHER_LENGTH_SPREADS = 2.0  # then with so many times the spread
RULES = (
    f"green: at most {GREEN:g} spread worse than the reference at this update; yellow: at most {YELLOW:g}; red: more. "
    "Better is green, but where only likeness counts ('near': the target of the training moves, so lower is not "
    "better) better and worse count alike. Between the points of the reference its curve is straight; before the "
    "first and behind the last there is no light. A run that is longer or shorter than the reference, by at most a "
    f"factor {LENGTHS:g}, is compared at the same share of the run, with {OTHER_LENGTH_SPREADS:g} times the spread."
)


class ReferenceJson(TypedDict):
    """A `Reference` in its file."""

    corpus: str
    config: dict[str, object]
    data: dict[str, object]
    probe: dict[str, object]
    updates: int
    curves: dict[str, CurveJson]
    spread: str
    runs: list[dict[str, object]]


@dataclass(frozen=True)
class Subject:
    """What decides whether two trainings should give the same curves."""

    config: dict[str, object]  # the keys that matter
    data: dict[str, object]  # sizes of the sets and what the labels are like
    probe: dict[str, object]  # what the figures of the probe depend on
    updates: int  # of the whole run

    @property
    def config_hash(self) -> str:
        return hash_value(self.config)


def describe_subject(config: SSLConfig, inputs: Inputs, max_update: int) -> Subject:
    """The subject of a run."""
    layer = probed_layer(config.probe, config.encoder_conf.num_layers)
    probe = {**config.probe.model_dump(mode="json", exclude={"enabled"}), "layer": layer}
    return Subject(relevant_keys(config), describe_data(inputs), probe, max_update)


def relevant_keys(config: SSLConfig) -> dict[str, object]:
    """The keys that decide the curves of a training; batches count as samples per update."""
    return {**dump_without(config, Tag.NO_CURVE), "batch_bins": config.batch_bins * config.accum_grad}


def describe_data(inputs: Inputs) -> dict[str, object]:
    """What tells one corpus, and one kind of labels, from another; no paths, and no hash that rounding would change."""
    description: dict[str, object] = {
        name: {"utterances": len(index), "seconds": round(index.total_samples / index.sample_rate, 3)}
        for name, index in (("train", inputs.train), ("valid", inputs.valid))
    }
    for name, labels in inputs.valid_labels.items():
        description[f"labels {name}" if name else "labels"] = _describe_labels(labels)
    return description


def _describe_labels(labels: JoinedLabels) -> dict[str, object]:
    statistics = joined_statistics(labels)
    return {
        "classes": statistics.num_classes,
        "per_second": labels.label_rate,
        "perplexity": round(statistics.perplexity, 3),
        "run_seconds": round(statistics.mean_run_labels / labels.label_rate, 5),
    }


class Point(NamedTuple):
    """One point of a curve."""

    update: int
    mean: float  # over the runs
    spread: float  # the +- of the log


@dataclass(frozen=True)
class Curve:
    """One figure of the valid set over a training."""

    better: str  # higher, lower, or near (the reference)
    points: tuple[Point, ...]

    def at(self, position: float) -> tuple[float, float] | None:
        """Mean and spread, straight between the points; None outside of them."""
        for left, right in zip(self.points, self.points[1:] or self.points, strict=False):
            if left.update <= position <= right.update:
                share = (position - left.update) / max(1, right.update - left.update)
                mean, spread = (a + share * (b - a) for a, b in ((left.mean, right.mean), (left.spread, right.spread)))
                return mean, spread
        return None


class Light(NamedTuple):
    """One figure of one validation beside its reference."""

    update: int
    figure: str
    value: float
    mean: float
    spread: float
    light: str  # green, yellow, red
    beside: str = "reference"  # what it is compared with

    def describe(self) -> str:
        spread = f" ± {self.spread:.3f}" if self.beside == "reference" else ""
        return f"{self.figure} {self.value:.3f}, {self.beside} {self.mean:.3f}{spread}: {self.light}"


@dataclass(frozen=True)
class Reference:
    """The curves of earlier runs of one config on one corpus."""

    corpus: str
    subject: Subject
    curves: dict[str, Curve]
    spread_rule: str
    runs: tuple[dict[str, object], ...]  # name, seed, machine, command

    def judge(self, validation: Validation, updates: int) -> list[Light]:
        """The light of each figure that has a reference there.

        Args:
            updates: of the whole run.
        """
        same_length = updates == self.subject.updates
        position = validation.update if same_length else validation.update * self.subject.updates / updates
        lights = []
        for name, curve in self.curves.items():
            value, expected = validation.valid.get(name), curve.at(position)
            if value is not None and expected is not None:
                mean, spread = expected[0], expected[1] * (1.0 if same_length else OTHER_LENGTH_SPREADS)
                light = light_of(value, mean, spread, curve.better)
                lights.append(Light(validation.update, name, value, mean, spread, light))
        return lights

    def mismatch(self, subject: Subject) -> str:
        """Why a run must not be compared with it; "" if it may."""
        try:
            config = relevant_keys(resolve_config(self.subject.config))  # keys that are newer get their defaults
        except UserError as error:
            return f"its config is of another version ({error})"
        if differing := differences(config, subject.config):
            return f"other config ({'; '.join(differing[:3])}{'; ...' if len(differing) > 3 else ''})"
        if differing := data_differences(self.subject.data, subject.data):
            return f"other data ({'; '.join(differing)})"
        if not 1 / LENGTHS <= subject.updates / self.subject.updates <= LENGTHS:
            return f"a run of {self.subject.updates:,} updates says nothing about one of {subject.updates:,}"
        return ""

    def for_probe(self, probe: Mapping[str, object]) -> "Reference":
        """Without the probe's curves where they are of another probe."""
        if dict(probe) == self.subject.probe:
            return self
        return replace(self, curves={name: curve for name, curve in self.curves.items() if not name.startswith(PREFIX)})


def light_of(value: float, mean: float, spread: float, better: str) -> str:
    """Green, yellow or red: see RULES. What is not a number is red.

    >>> light_of(0.31, 0.34, 0.03, "higher"), light_of(0.31, 0.34, 0.03, "lower"), light_of(0.41, 0.34, 0.03, "near")
    ('green', 'green', 'red')
    """
    behind = {"higher": mean - value, "lower": value - mean, "near": abs(value - mean)}[better]
    distance = round(behind / max(spread, 1e-12), 9)  # 0.34 - 0.31 is one spread of 0.03, whatever binary fractions say
    return "green" if distance <= GREEN else "yellow" if distance <= YELLOW else "red"


def differences(theirs: Mapping[str, object], ours: Mapping[str, object]) -> list[str]:
    """Every differing key, in words."""
    before, now = dict(leaves(theirs)), dict(leaves(ours))
    return [
        f"{key}: {before.get(key)} there, {now.get(key)} here"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]


def data_differences(theirs: Mapping[str, object], ours: Mapping[str, object]) -> list[str]:
    """What tells two corpora or their labels apart, in words; [] for the same."""
    loose = {"seconds": SAME_SECONDS, "perplexity": SAME_LABELS, "run_seconds": SAME_LABELS}
    before, now = dict(leaves(theirs)), dict(leaves(ours))
    lines = []
    for key in sorted(before.keys() | now.keys()):
        one, other = before.get(key), now.get(key)
        share = loose.get(key.rpartition(".")[2], 0.0)
        if _differ(one, other, share):
            lines.append(f"{key.replace('.', ' ')}: {one} there, {other} here")
    return lines


def _differ(one: object, other: object, share: float) -> bool:
    """Numbers by more than so much of the first; what one side lacks always."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) > share * abs(one)
    return one is None or other is None or one != other


def find_reference_file(setting: str, config: str | Path) -> Path | None:
    """Where the curves for a config file are: beside it, in the recipe's template, or beside what it links to.

    None if nowhere.

    Args:
        setting: the key `reference` of the config.
        config: conf/train_<objective>_<size>.yaml.

    Raises:
        UserError: `setting` names a file that is not there.
    """
    if setting == "none":
        return None
    if setting != "auto":
        named = find_in_recipe(setting)
        if not named.is_file():
            raise UserError(f"reference: {setting}: no such file; expected auto, none or one of ssl_make_reference")
        return named
    configs = (Path(config), find_in_recipe(config).resolve())
    places = [find_in_recipe(path.parent / "reference" / f"{path.stem}.json") for path in configs]
    return next((path for path in places if path.is_file()), None)


def read_references(path: Path) -> list[Reference]:
    """All references of a file.

    Raises:
        UserError: it is no file of ssl_make_reference.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {values['format_version']}")
        return [_parse(reference) for reference in values["references"]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a file of this version of ssl_make_reference ({error}); make it anew") from None


def _parse(values: ReferenceJson) -> Reference:
    curves = {
        name: Curve(curve["better"], tuple(Point(*point) for point in curve["points"]))
        for name, curve in values["curves"].items()
    }
    subject = Subject(values["config"], values["data"], values["probe"], values["updates"])
    return Reference(values["corpus"], subject, curves, values["spread"], tuple(values["runs"]))


def write_references(path: Path, references: Sequence[Reference]) -> None:
    """The inverse of `read_references`."""
    listed = [
        {
            "corpus": reference.corpus,
            "updates": reference.subject.updates,
            "data": reference.subject.data,
            "config_hash": reference.subject.config_hash,
            "config": reference.subject.config,
            "probe": reference.subject.probe,
            "spread": reference.spread_rule,
            "runs": list(reference.runs),
            "curves": {name: asdict(curve) for name, curve in reference.curves.items()},
        }
        for reference in references
    ]
    write_json(path, {"format_version": FORMAT_VERSION, "rules": RULES, "references": listed})
