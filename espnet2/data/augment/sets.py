"""Augmentation of several training sets, where some have their own: `augment` and `augment_sets` of a config."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet2.data.augment.augment import AugmentConfig, Augmenter, open_augmenter
from espnet2.data.index import JoinedIndex
from espnet2.data.set_names import sets_by_name, unknown_name
from espnet2.utils.files import hash_bytes


@dataclass(frozen=True)
class SetAugmenters:
    """Which augmentation the audio of a row gets. Travels to loader processes, as `Augmenter` does."""

    names: tuple[str, ...]  # of the sets
    by_set: tuple[Augmenter | None, ...]  # None: clean audio
    starts: tuple[int, ...]  # (sets + 1,) first row of each set

    def of(self, row: int) -> Augmenter | None:
        """What happens to the audio of a row of the joined index."""
        return self.by_set[int(np.searchsorted(self.starts, row, side="right")) - 1]

    @property
    def mixes(self) -> bool:
        """Whether any clip may be mixed with another."""
        return any(part.mixes for part in self.by_set if part)

    @property
    def max_speed(self) -> float:
        """The fastest of all sets: it needs the most audio."""
        return max(part.max_speed if part else 1.0 for part in self.by_set)

    @property
    def hash(self) -> str:
        """Of the tables; a resumed run must find the same."""
        return hash_bytes(*(part.hash if part else "" for part in self.by_set))

    def describe(self) -> str:
        """One line for the log."""
        told = (
            f"{name}: {part.describe() if part else 'nothing'}"
            for name, part in zip(self.names, self.by_set, strict=True)
        )
        return " | ".join(told)


def open_augmenters(
    config: AugmentConfig, by_name: Mapping[str, AugmentConfig], index: JoinedIndex
) -> Augmenter | SetAugmenters | None:
    """Open and check every table; None where nothing is asked for.

    Args:
        config: of sets that have none by name.
        by_name: of the sets that have their own.

    Raises:
        UserError: a name that no training set has, or two of one set; see `open_augmenter`.
    """
    if not by_name:
        return open_augmenter(config, index.sample_rate, len(index))
    known = sets_by_name(index)
    configs: dict[int, AugmentConfig] = {}
    for name, part in by_name.items():
        if name not in known or known[name] in configs:
            raise unknown_name(name, "augment_sets", "set" if name not in known else "second set", known)
        configs[known[name]] = part
    sizes = (index.sample_rate, len(index))
    common = open_augmenter(config, *sizes)
    section_of = {
        number: open_augmenter(part, *sizes, where=f"augment_sets.{Path(index.names[number]).name}")
        for number, part in configs.items()
    }
    by_set = tuple(section_of.get(number, common) for number in range(len(index.names)))
    if not any(by_set):
        return None
    return SetAugmenters(tuple(index.names), by_set, tuple(index.starts.tolist()))
