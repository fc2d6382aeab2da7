"""The file units.txt ("<utt> 3 3 17 ...") and the card beside it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json
from espnet2.utils.json_record import require_record
from espnet2.utils.kaldi_table import iterate_table

CARD = "units.json"  # beside units.txt
REMEDY = "run ssl_dump_labels again"


class UnitCardJson(TypedDict):
    """The card as it is written."""

    num_units: int
    label_rate: float
    source: str
    hash: str


@dataclass(frozen=True)
class UnitCard:
    """What the numbers of a table of units are."""

    num_units: int  # K: ids are 0..K-1
    label_rate: float  # per second
    source: str  # for people
    hash: str  # of what names the units: tables with the same hash speak the same language

    def write(self, folder: Path) -> None:
        """Put the card beside the table."""
        write_json(folder / CARD, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "UnitCard":
        """The card of a folder.

        Raises:
            UserError: there is none, or it is damaged.
        """
        values = require_record(folder / CARD, UnitCardJson, REMEDY)
        return cls(values["num_units"], values["label_rate"], values["source"], values["hash"])


def iterate_units(table: str | Path, num_units: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """(utterance, (units,) int64) of each line.

    Args:
        num_units: K; None: as many as there are.

    Raises:
        UserError: a line holds something else than units of 0..num_units-1.
    """
    highest = np.iinfo(np.int64).max if num_units is None else num_units - 1
    for number, (utt_id, rest) in enumerate(iterate_table(table), 1):
        try:
            units = np.array(rest.split(), dtype=np.int64)
        except ValueError:
            raise UserError(f"{table}:{number}: expected '<utt> <number> <number> ...'") from None
        if len(units) and not 0 <= units.min() <= units.max() <= highest:
            wrong = int(units.max() if units.max() > highest else units.min())
            expected = "no number below 0" if num_units is None else f"0 to {highest}: is it of another k-means?"
            raise UserError(f"{table}:{number}: unit {wrong}, expected {expected}")
        yield utt_id, units


def run_lengths(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One of each run of equal units, and how many there were.

    >>> [part.tolist() for part in run_lengths(np.array([3, 3, 1, 3]))]
    [[3, 1, 3], [2, 1, 1]]
    """
    starts = np.flatnonzero(np.r_[True, units[1:] != units[:-1]]) if len(units) else np.zeros(0, dtype=np.int64)
    return units[starts], np.diff(starts, append=len(units))
