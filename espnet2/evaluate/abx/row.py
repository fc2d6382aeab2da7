"""A row of eval/abx.json: one layer of one system, compared in one way."""

from dataclasses import dataclass
from typing import TypedDict, cast

from espnet2.evaluate.abx.rule import OLDER, Rule


class _Row(TypedDict):
    system: str
    title: str
    layer: int | None
    features: str
    distance: str
    mode: str
    error_rate: float
    low: float
    high: float
    num_triples: int
    num_phone_pairs: int


class AbxRowJson(_Row, total=False):
    """`AbxRow` as the file has it."""

    source: str  # of the rule, as the next three; older files lack them
    span: str
    context: str
    clock: str
    spread: float  # of units, as K and seeds
    K: int
    seeds: list[int]


@dataclass(frozen=True)
class Compared:
    """Error rates of one kind of features, distance and mode."""

    features: str  # continuous or units
    distance: str
    mode: str  # within or across speakers
    error_rate: float
    low: float  # of the interval
    high: float
    num_triples: int
    num_phone_pairs: int
    spread: float | None = None  # of units: largest less smallest over the seeds of k-means
    rule: Rule = OLDER


@dataclass(frozen=True)
class AbxRow:
    """Whose they are."""

    system: str  # of espnet2.evaluate.systems.KINDS
    title: str
    layer: int | None
    compared: Compared
    num_units: int | None = None  # of units
    seeds: tuple[int, ...] | None = None  # of units; none of a method's own codes

    def as_json(self) -> AbxRowJson:
        """The row as the file has it."""
        compared = {name: value for name, value in vars(self.compared).items() if name != "rule"}
        owner = {"system": self.system, "title": self.title, "layer": self.layer}
        values = {**owner, **compared, **self.compared.rule._asdict()}
        if self.compared.spread is None:
            del values["spread"]
        if self.num_units is not None and self.seeds is not None:
            values |= {"K": self.num_units, "seeds": list(self.seeds)}
        return cast(AbxRowJson, values)

    @classmethod
    def read(cls, values: AbxRowJson) -> "AbxRow":
        """The inverse of `as_json`."""
        compared = Compared(
            features=values["features"],
            distance=values["distance"],
            mode=values["mode"],
            error_rate=values["error_rate"],
            low=values["low"],
            high=values["high"],
            num_triples=values["num_triples"],
            num_phone_pairs=values["num_phone_pairs"],
            spread=values.get("spread"),
            rule=Rule(
                values.get("source", OLDER.source),
                values.get("span", OLDER.span),
                values.get("context", OLDER.context),
                values.get("clock", OLDER.clock),
            ),
        )
        seeds = values.get("seeds")
        owner = (values["system"], values["title"], values["layer"])
        return cls(*owner, compared, values.get("K"), None if seeds is None else tuple(seeds))
