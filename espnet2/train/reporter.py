"""What a training tells of itself: log lines, trackers, a history for the curves, a progress bar."""

import json
import logging
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from espnet2.train.history import parse_line, read_history
from espnet2.train.progress import Heartbeat
from espnet2.train.state import Validation
from espnet2.train.trackers.base import Setting, Writer
from espnet2.train.tracking import Figures, MediaFile, Tracker
from espnet2.utils.clock import format_seconds

DETAIL = re.compile(r"_layer\d+$")  # figures of single layers are in trackers and the history, not in the log's lines
DRAW_SECONDS = 60.0  # curves are drawn at most so often: it takes about a second
LOGGER = logging.getLogger("espnet2.train")


@dataclass(frozen=True)
class IntervalFigures:
    """One line of the log: the updates since the line before."""

    update: int
    epoch: int
    figures: dict[str, float]  # loss, its terms and the objective's statistics, each over its own count
    grad_norm: float  # mean, before clipping
    clip_share: float  # updates whose gradient was clipped
    learning_rate: float
    audio_per_second: float  # seconds of audio per second, all ranks
    audio_per_update: float  # seconds of audio
    wait_share: float  # of the time, waiting for the loader
    eta_seconds: float
    skipped: int  # non-finite updates since the start of the training


class Reporter:
    """Reports nothing: tests, and all ranks but the first."""

    def start(self, lines: Iterable[str], *, update: int, max_update: int) -> None:
        """Before the first update."""

    def interval(self, figures: IntervalFigures) -> None:
        """Every `log_interval_updates`."""

    def validation(self, validation: Validation, seconds: float) -> None:
        """After a validation that took so long."""

    def light(self, line: str, worst: str) -> None:
        """How a validation compares with the reference: the line and its worst light, both "" without reference."""

    def say(self, message: str) -> None:
        """Something the user may want to know."""

    def warn(self, message: str) -> None:
        """Something the user should know."""

    def beat(self, update: int) -> None:
        """After every update."""

    def close(self) -> None:
        """After the last update."""


class FolderReporter(Reporter):
    """Writes train.log, history.jsonl and images/ of exp/<name>, feeds trackers, and shows a bar on a terminal."""

    def __init__(
        self,
        directory: Path,
        *,
        writers: Mapping[str, Writer] | None = None,
        settings: Mapping[str, Setting] | None = None,
    ) -> None:
        """
        Args:
            writers: name -> tracker, of `load_writers`.
            settings: of the run's config, for trackers that show them.
        """
        self.directory, self.settings = directory, settings or {}
        self.bar: tqdm | None = None
        self.trackers = [Tracker(name, writer, directory, self.warn) for name, writer in (writers or {}).items()]
        self.update = self.max_update = 0
        self.drawn_at = time.monotonic()
        directory.mkdir(parents=True, exist_ok=True)
        self.heartbeat = Heartbeat(directory)
        self.handlers: list[logging.Handler] = [
            logging.FileHandler(directory / "train.log", encoding="utf-8"),
            _BarHandler() if sys.stderr.isatty() else logging.StreamHandler(sys.stderr),
        ]
        for handler in self.handlers:
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
            LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        LOGGER.propagate = False

    def start(self, lines: Iterable[str], *, update: int, max_update: int) -> None:
        self.update, self.max_update = update, max_update
        for line in lines:
            LOGGER.info(line)
        self._forget_after(update)
        known = read_history(self.directory) if self.trackers else []
        history = [Figures(line.dataset, line.update, line.figures) for line in known]
        for tracker in self.trackers:
            tracker.start(self.settings, update, history)
        if sys.stderr.isatty():
            self.bar = tqdm(total=max_update, initial=update, unit="update", dynamic_ncols=True)

    def interval(self, figures: IntervalFigures) -> None:
        LOGGER.info(interval_line(figures, self.max_update))
        self._remember("train", figures.update, asdict(figures) | figures.figures)
        if self.bar is not None:
            self.bar.update(figures.update - self.bar.n)

    def validation(self, validation: Validation, seconds: float) -> None:
        figures = ", ".join(_shown(validation.valid))
        LOGGER.info(f"validation at update {validation.update}: {figures} ({seconds:.1f} s)")
        self._remember("valid", validation.update, validation.valid)
        if time.monotonic() - self.drawn_at > DRAW_SECONDS:
            self.draw()

    def light(self, line: str, worst: str) -> None:
        if line:
            LOGGER.log(logging.WARNING if worst == "red" else logging.INFO, line)

    def say(self, message: str) -> None:
        LOGGER.info(message)

    def warn(self, message: str) -> None:
        LOGGER.warning(message)

    def beat(self, update: int) -> None:
        self.heartbeat.beat(update)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.max_update:  # it was started
            for picture in self.draw():
                self._track(MediaFile(f"curves/{picture.stem}", self.update, picture))
        for tracker in self.trackers:
            tracker.close()
        for handler in self.handlers:
            LOGGER.removeHandler(handler)
            handler.close()

    def draw(self) -> list[Path]:
        """Draw the curves anew from the history; no training ends because a machine cannot draw."""
        from espnet2.train.plots import draw_curves  # matplotlib is slow to import

        self.drawn_at = time.monotonic()
        try:
            return draw_curves(self.directory, self.directory / "images")
        except ModuleNotFoundError as error:
            LOGGER.warning("images/ is not drawn: %s (pip install matplotlib)", error)
            return []

    def _history_path(self) -> Path:
        return self.directory / "history.jsonl"

    def _remember(self, dataset: str, update: int, figures: Mapping[str, object]) -> None:
        numbers = {
            name: value for name, value in figures.items() if isinstance(value, int | float) and name != "update"
        }
        with open(self._history_path(), "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"dataset": dataset, "update": update, **numbers}) + "\n")
        self.update = update
        self._track(Figures(dataset, update, numbers))

    def _track(self, item: Figures | MediaFile) -> None:
        for tracker in self.trackers:
            tracker.put(item)

    def _forget_after(self, update: int) -> None:
        """Drop the history of updates that a resumed run does again."""
        path = self._history_path()
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if (parsed := parse_line(line)) and parsed.update <= update]
            path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


class _BarHandler(logging.Handler):
    """Log lines above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record), file=sys.stderr)


def interval_line(figures: IntervalFigures, max_update: int) -> str:
    """One readable line.

    >>> print(interval_line(IntervalFigures(50, 1, {"loss": 4.5, "masked_accuracy": 0.25}, 2.0, 0.5, 5e-4, 1200.0, 60.0,
    ...     0.01, 90.0, 0), 100))
    update 50/100, epoch 1: loss 4.500, masked_accuracy 25.0 %, grad norm 2.00 (clipped 50 %), lr 5.00e-04, \
1200 s audio/s, 60 s audio/update, data wait 1 %, ETA 1:30
    """
    parts = [
        *_shown(figures.figures),
        f"grad norm {figures.grad_norm:.2f} (clipped {100 * figures.clip_share:.0f} %)",
        f"lr {figures.learning_rate:.2e}",
        f"{figures.audio_per_second:.0f} s audio/s",
        f"{figures.audio_per_update:.0f} s audio/update",
        f"data wait {100 * figures.wait_share:.0f} %",
        f"ETA {format_seconds(figures.eta_seconds)}",
    ]
    if figures.skipped:
        parts.append(f"{figures.skipped} updates skipped")
    return f"update {figures.update}/{max_update}, epoch {figures.epoch}: {', '.join(parts)}"


def initial_line(figures: Mapping[str, float]) -> str:
    """What the probe finds in the model as it starts.

    >>> initial_line({"probe_pnmi": 0.342, "probe_rank": 97.8})
    'before the first update: probe_pnmi 0.342, probe_rank 97.800, of the model as it starts'
    """
    return f"before the first update: {', '.join(_shown(figures))}, of the model as it starts"


def _shown(figures: Mapping[str, float]) -> list[str]:
    return [_figure(name, value) for name, value in figures.items() if not DETAIL.search(name)]


def _figure(name: str, value: float) -> str:
    return f"{name} {100 * value:.1f} %" if name.endswith("accuracy") else f"{name} {value:.3f}"


def write_resume_script(directory: Path, words: list[str], launcher: list[str]) -> Path:
    """Write run.sh, which goes on with this training by one command, from anywhere.

    Args:
        directory: exp/<name>.
        words: the arguments of ssl_train.
        launcher: what starts it: python, or python and torchrun's options.
    """
    back = os.path.relpath(os.getcwd(), directory)
    path = directory / "run.sh"
    path.write_text(
        "#!/usr/bin/env bash\n"
        "# Goes on with this training from its newest checkpoint (or starts it, if there is none).\n"
        "set -euo pipefail\n"
        f'cd "$(dirname "$0")"/{shlex.quote(back)}\n'
        f"export PYTHONPATH={shlex.quote(os.environ.get('PYTHONPATH', ''))}${{PYTHONPATH:+:${{PYTHONPATH}}}}\n"
        f'exec {shlex.join(launcher)} -m espnet2.bin.ssl_train {shlex.join(words)} "$@"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path
