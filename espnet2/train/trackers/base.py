"""What every tracker does: `Writer`, the one seam between a run and the tools that show runs.

A new one is a file trackers/<name>.py with one subclass; `--tracker <name>` finds it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

PROJECT = "espnet2-ssl"  # where the tool has projects, unless its own variable names another
Setting = str | int | float | bool | None


@dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker shows."""

    directory: Path  # exp/<name>
    settings: Mapping[str, Setting]  # of its config, "optim_conf.lr" -> 1e-4
    run_id: str  # kept in exp/<name>: the same after a resume
    is_new: bool  # False: the tool may know this run, and is to go on with it
    update: int  # where it begins, or goes on

    @property
    def name(self) -> str:
        """How people know it."""
        return self.directory.resolve().name

    @property
    def scratch(self) -> Path:
        """For files of the tool itself."""
        return self.directory / "trackers"


class Writer(ABC):
    """Where the figures of a run go. All calls but `load` come from one thread, which is not the training's.

    Whatever a method raises is told once and tried again later: it never reaches the training.
    """

    purges: ClassVar[bool] = False  # drops by itself what a run reported beyond the checkpoint it goes on from

    @classmethod
    @abstractmethod
    def load(cls) -> None:
        """Import the package and look at what the user must have set up; no network.

        Raises:
            UserError: it is not installed, or the user has not logged in.
        """

    @abstractmethod
    def open(self, run: TrackedRun) -> None:
        """Begin the run, or go on with it."""

    @abstractmethod
    def scalars(self, figures: Mapping[str, float], update: int) -> None:
        """Figures by name, "train/loss"; those of one update may come in several calls."""

    @abstractmethod
    def picture(self, name: str, file: Path, update: int) -> None:
        """A PNG file."""

    @abstractmethod
    def sound(self, name: str, file: Path, update: int) -> None:
        """An audio file that soundfile reads."""

    @abstractmethod
    def close(self) -> None:
        """Hand over what is left; `open` has succeeded before."""
