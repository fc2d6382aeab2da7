"""The store of finished probes, from which a stopped run goes on, and the row that sums up their seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet2.evaluate.probes.row import ProbeRow, TaskFacts
from espnet2.evaluate.systems import System
from espnet2.utils.files import hash_value, read_json, write_json

WEIGHTS = "layer_weights"  # in the file of a probe, behind its scores


@dataclass(frozen=True)
class Figures:
    """What one probe gave."""

    scores: Mapping[str, float]  # accuracy, or error rates
    layer_weights: tuple[float, ...]

    def as_json(self) -> dict[str, float | list[float]]:
        """As a file has it."""
        return {**self.scores, WEIGHTS: list(self.layer_weights)}

    @classmethod
    def read(cls, path: Path) -> "Figures | None":
        """The inverse of `as_json`; None where there is no such file, or it is damaged."""
        values = read_json(path)
        weights = values.pop(WEIGHTS, None) if values else None
        return cls(values, tuple(weights)) if values and isinstance(weights, list) else None


@dataclass(frozen=True)
class Cell:
    """One probe: trained once."""

    task: str  # with all its options
    system: list[str]  # kind, title, hash of the weights
    layer: int | None  # None: the learned mix of all
    seed: int

    def __hash__(self) -> int:
        return hash((self.task, *self.system, self.layer, self.seed))


Keep = Callable[[Cell, Figures], None]


class Cells:
    """exp/<name>/eval/.probes: a small file for each probe that is done."""

    def __init__(self, directory: Path, shared: Mapping[str, object]) -> None:
        """
        Args:
            shared: what all cells depend on: sets, rules, limits.
        """
        self.directory, self._shared = directory, shared

    def complete(self, cells: Sequence[Cell], compute: Callable[[Sequence[Cell], Keep], None]) -> dict[Cell, Figures]:
        """The figures of all cells.

        Args:
            compute: gets the cells that are missing, if there are any, and what to call with each as it is done.
        """
        stored = {cell: Figures.read(self._path(cell)) for cell in cells}
        done = {cell: figures for cell, figures in stored.items() if figures is not None}

        def keep(cell: Cell, figures: Figures) -> None:
            write_json(self._path(cell), figures.as_json())
            done[cell] = figures

        missing = [cell for cell in cells if cell not in done]
        if missing:
            compute(missing, keep)
        return done

    def _path(self, cell: Cell) -> Path:
        key = hash_value([dict(self._shared), cell.task, cell.system, cell.layer, cell.seed])
        return self.directory / f"{key}.json"


def row_of(
    task: str,
    system: System,
    layer: int | None,
    seeds: Sequence[int],
    figures: Sequence[Figures],
    facts: TaskFacts,
) -> ProbeRow:
    """Means over the seeds and the spread of each figure; of a single one the lowest and highest, too."""
    names = sorted(figures[0].scores)
    values = {name: [probe_figures.scores[name] for probe_figures in figures] for name in names}
    weights = np.mean([probe_figures.layer_weights for probe_figures in figures], axis=0).tolist()
    single = values[names[0]] if len(seeds) > 1 and len(names) == 1 else None
    return ProbeRow(
        task=task,
        system=system.kind,
        title=system.title,
        layer=layer,
        seeds=tuple(seeds),
        facts=facts,
        means={name: float(np.mean(of_seeds)) for name, of_seeds in values.items()},
        spreads={name: float(np.ptp(of_seeds)) for name, of_seeds in values.items()},
        layer_weights=tuple(weights),
        bounds=(min(single), max(single)) if single else None,
    )
