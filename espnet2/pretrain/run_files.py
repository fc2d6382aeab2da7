"""The JSON files that a training leaves in exp/<name> for pages and tables: train.done and traffic_light.json."""

from typing import TypedDict

DONE_NAME = "train.done"
LIGHTS_NAME = "traffic_light.json"


class _Done(TypedDict):
    updates: int
    wall_seconds: float
    valid: dict[str, float]  # figures of the last validation


class DoneJson(_Done, total=False):
    """train.done: the training has ended."""

    skipped_updates: int
    train: dict[str, float]


class SubjectJson(TypedDict):
    """What decides whether two trainings should give the same curves, as `espnet2.pretrain.reference.Subject`."""

    config: dict[str, object]
    data: dict[str, object]
    probe: dict[str, object]
    updates: int


class _Light(TypedDict):
    update: int
    figure: str
    value: float
    mean: float
    spread: float
    light: str  # green, yellow or red


class LightJson(_Light, total=False):
    """One figure of one validation beside what it is compared with."""

    beside: str  # what that is, in words; files that are older have references only


class CurveJson(TypedDict):
    """One figure of the valid set over the trainings of a reference."""

    better: str
    points: list[tuple[int, float, float]]  # update, mean, spread


class ComparedJson(TypedDict):
    """The reference that a training was compared with."""

    corpus: str
    updates: int
    runs: list[dict[str, object]]
    spread: str
    curves: dict[str, CurveJson]


class LightsJson(TypedDict):
    """traffic_light.json: each validation of a training beside a reference."""

    subject: SubjectJson
    rules: str
    reason: str  # why there is no reference; "" where there is
    rows: list[LightJson]
    reference: ComparedJson | None
