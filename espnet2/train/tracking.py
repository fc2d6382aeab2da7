"""Names of trackers and figures of a run in; every tracker fed on a thread of its own, network or not, out."""

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypedDict

from espnet2.train.trackers.base import Setting, TrackedRun, Writer
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file, hash_value, read_json, write_json
from espnet2.utils.registry import part_class, part_names

PACKAGE = "espnet2.train.trackers"
NONE = "none"
RETRY_SECONDS = 60.0  # after a tracker has failed
CLOSE_SECONDS = 30.0  # a run that has ended waits so long at most for each tracker
MAX_PENDING = 10_000  # of what a tracker that does not answer still has to get; the oldest goes first
ID_BYTES = 4


@dataclass(frozen=True)
class Figures:
    """Of one line of the log, or of one validation."""

    dataset: str  # before the names: train, valid, eval
    update: int
    values: Mapping[str, float]
    is_final: bool = False  # of a finished model: they may be computed anew, at the same update

    @cached_property
    def stream(self) -> str:
        """Whose updates only grow."""
        return f"{self.dataset} {hash_value(dict(self.values))}" if self.is_final else self.dataset

    def write(self, writer: Writer) -> None:
        """Hand them over."""
        writer.scalars({f"{self.dataset}/{name}": value for name, value in self.values.items()}, self.update)


@dataclass(frozen=True)
class MediaFile:
    """A picture or a sound."""

    name: str
    update: int
    file: Path

    @cached_property
    def stream(self) -> str:
        """One for each content: what is drawn anew without a change is sent once."""
        return f"{self.name} {hash_file(self.file)}"

    def write(self, writer: Writer) -> None:
        """Hand it over."""
        send = writer.picture if self.file.suffix == ".png" else writer.sound
        send(self.name, self.file, self.update)


Item = Figures | MediaFile


class RecordJson(TypedDict):
    """Contents of exp/<name>/trackers/<tracker>.json."""

    run_id: str
    sent: dict[str, int]  # stream -> the last update that the tracker has


def tracker_names() -> list[str]:
    """All that there are, by their files."""
    return part_names(PACKAGE)


def check_names(names: Sequence[str]) -> None:
    """
    Raises:
        UserError: one of them is unknown, or none is named beside others.
    """
    if not names or (NONE in names and len(names) > 1):
        raise UserError(
            f"tracker: {' '.join(names) or 'empty'}; expected {NONE}, or some of {', '.join(tracker_names())}"
        )
    for name in names:
        if name != NONE and name not in tracker_names():
            _writer_class(name)


def _writer_class(name: str) -> type[Writer]:
    return part_class(PACKAGE, name, Writer, key="tracker", kind="tracker")


def load_writers(names: Sequence[str]) -> dict[str, Writer]:
    """Name -> writer, its package imported.

    Raises:
        UserError: an unknown name, a package that is not installed, nobody logged in.
    """
    check_names(names)
    writers = {}
    for name in names:
        if name != NONE:
            cls = _writer_class(name)
            cls.load()
            writers[name] = cls()
    return writers


def flat_settings(values: Mapping[str, object], prefix: str = "") -> dict[str, Setting]:
    """The values of a config by one name each.

    >>> flat_settings({"optim_conf": {"lr": 0.1, "betas": [0.9, 0.98]}, "compile": False})
    {'optim_conf.lr': 0.1, 'optim_conf.betas': '[0.9, 0.98]', 'compile': False}
    """
    flat: dict[str, Setting] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flat_settings(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str | int | float | None) else json.dumps(value)
    return flat


class Tracker:
    """One writer with its thread and its memory of what was sent.

    The training only ever puts into a queue. A tracker that fails is told once and tried again every minute with
    what it has missed; at the end what it did not get is counted.
    """

    def __init__(self, name: str, writer: Writer, directory: Path, warn: Callable[[str], None]) -> None:
        self.name, self.writer, self.directory, self.warn = name, writer, directory, warn
        self.record_file = record_file(directory, name)
        self.record: RecordJson = {"run_id": "", "sent": {}}
        self.pending: deque[Item] = deque()
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self.num_lost = 0
        self.was_told = False
        self.thread: threading.Thread | None = None

    def start(self, settings: Mapping[str, Setting], update: int, history: Iterable[Figures] = ()) -> None:
        """Begin the run in the tracker, or go on with it; returns at once.

        Args:
            update: where the run stands. At 0 it is a new run, whatever the folder held before.
            history: figures up to there. What the tracker lacks of them is sent first: a killed run leaves some
                unsent, and a tracker may be named only when a run goes on.
        """
        known = read_record(self.directory, self.name) if update > 0 else None
        self.record = known or {"run_id": secrets.token_hex(ID_BYTES), "sent": {}}
        if not self.writer.purges:
            for figures in history:
                if figures.update > self.record["sent"].get(figures.stream, -1):
                    self.put(figures)
        run = TrackedRun(self.directory, settings, self.record["run_id"], known is None, update)
        self.thread = threading.Thread(target=self._work, args=(run,), name=f"tracker {self.name}", daemon=True)
        self.thread.start()

    def put(self, item: Item) -> None:
        """Have something sent when its turn comes; returns at once."""
        with self.changed:
            self.pending.append(item)
            if len(self.pending) > MAX_PENDING:
                self.pending.popleft()
                self.num_lost += 1
            self.changed.notify()

    def close(self) -> None:
        """Wait a while for what is pending, and say what was not delivered."""
        if self.thread is None:
            return
        with self.changed:
            self.closing.set()
            self.changed.notify()
        self.thread.join(CLOSE_SECONDS)
        lost = self.num_lost + len(self.pending)
        if self.thread.is_alive() or lost:
            count = f"{lost} entries" if lost else "its last entries"
            self.warn(f"tracker {self.name}: {count} may be missing there; history.jsonl has all figures")

    def _work(self, run: TrackedRun) -> None:
        """The thread."""
        is_open = self._attempt(lambda: self._open(run))
        while is_open and (item := self._next()) is not None:
            if not self._attempt(lambda item=item: self._send(item)):  # type: ignore[misc]
                self.num_lost += 1
                break
        if is_open:
            self.closing.wait()
            self._attempt(self.writer.close)

    def _next(self) -> Item | None:
        """The next item, as soon as there is one; None at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.pending or self.closing.is_set())
            return self.pending.popleft() if self.pending else None

    def _attempt(self, action: Callable[[], None]) -> bool:
        """Do it, again and again where it fails; False where it failed after the run had ended."""
        while True:
            is_last = self.closing.is_set()
            try:
                action()
                return True
            except Exception as error:  # whatever a tool of others raises, the training goes on
                self._tell(error)
            if is_last:
                return False
            self.closing.wait(RETRY_SECONDS)

    def _tell(self, error: Exception) -> None:
        """The first failure; the others are of the same kind, most often."""
        if not self.was_told:
            self.was_told = True
            said = " ".join(f"{type(error).__name__}: {error}".split())
            self.warn(
                f"tracker {self.name} does not work ({said}): the training goes on, and what is missing there is sent "
                "as soon as it answers"
            )

    def _open(self, run: TrackedRun) -> None:
        if not self.writer.purges:
            write_json(self.record_file, self.record)  # before the tool has it: no id is ever lost
        self.writer.open(run)

    def _send(self, item: Item) -> None:
        """What a resumed run computes again, to the same values, the tracker has already."""
        if self.writer.purges:
            item.write(self.writer)
        elif item.update > self.record["sent"].get(item.stream, -1):
            item.write(self.writer)
            self.record["sent"][item.stream] = item.update
            write_json(self.record_file, self.record)


def record_file(directory: Path, name: str) -> Path:
    """Where the id of a run in a tracker is kept."""
    return directory / "trackers" / f"{name}.json"


def read_record(directory: Path, name: str) -> RecordJson | None:
    """The id of a run in a tracker and what it has got; None where there is none, or it is damaged."""
    contents = read_json(record_file(directory, name)) or {}
    run_id, sent = contents.get("run_id"), contents.get("sent")
    if not isinstance(run_id, str) or not run_id or not isinstance(sent, dict):
        return None
    return {"run_id": run_id, "sent": {str(stream): int(update) for stream, update in sent.items()}}
