"""The checkpoints of a run, whole or not there: update_<n>, latest, best_<stat>."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.optimizer import StateDict

from espnet2.ssl.adapt import merge_adapters
from espnet2.train.config import Criterion
from espnet2.train.manifest import describe_files, find_damage, sync_folder, write_manifest
from espnet2.train.state import TrainingJson
from espnet2.utils.errors import UserError
from espnet2.utils.files import require_json, write_json
from espnet2.utils.show import format_bytes

MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "state/optimizer.pt"
TRAINING_FILE = "state/training.json"
PARTS = "state/parts"  # of a sharded run: what each rank wrote of weights and optimizer
PARTIAL_PREFIX = ".partial_"
FREE_SPACE_MARGIN = 1.05  # files need a little more than their tensors


class OptimizerStates(TypedDict, total=False):
    """Contents of optimizer.pt: `optimizer`, or beside parts whether these hold it."""

    optimizer: StateDict
    sharded_optimizer: bool
    scaler: StateDict  # of the gradient scaler; empty but for fp16


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole."""

    directory: Path
    training: TrainingJson

    @property
    def parts(self) -> Path:
        """The folder of parts; there only if the run was sharded."""
        return self.directory / PARTS

    def model_state(self) -> dict[str, Tensor]:
        return load_file(self.directory / MODEL_FILE)

    def optimizer_state(self) -> OptimizerStates:
        states: OptimizerStates = torch.load(self.directory / OPTIMIZER_FILE, map_location="cpu", weights_only=True)
        return states


class CheckpointFolder:
    """exp/<name>/checkpoints of one run."""

    def __init__(self, directory: Path, *, tell: Callable[[str], None] = print) -> None:
        self.directory = directory
        self.tell = tell

    def updates(self) -> list[int]:
        """Updates of the checkpoints that are there, the newest first."""
        numbers = [path.name.removeprefix("update_") for path in self.directory.glob("update_*")]
        return sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)

    def path(self, update: int) -> Path:
        return self.directory / f"update_{update}"

    def save(
        self,
        update: int,
        model: Mapping[str, Tensor],
        optimizer: OptimizerStates,
        training: TrainingJson,
    ) -> Path:
        """Write a checkpoint beside, flush it to the disk and rename it; then move `latest`.

        Raises:
            UserError: the disk is full; the earlier checkpoints are untouched.
        """
        self.begin(update, _num_bytes(model.values()) + _num_bytes(_tensors(optimizer)))
        with self.completing(update):
            save_file({name: value.contiguous() for name, value in model.items()}, self.model_file(update))
        return self.finish(update, optimizer, training, {})

    def begin(self, update: int, num_bytes: int) -> None:
        """Make the folder in which a checkpoint comes into being.

        Raises:
            UserError: the disk cannot take so many bytes.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self.remove_partial()
        self._check_space(num_bytes)
        with self.completing(update):
            (self._partial(update) / "state").mkdir(parents=True)

    def model_file(self, update: int) -> Path:
        """Where the weights of a checkpoint that has begun are to be written."""
        return self._partial(update) / MODEL_FILE

    def parts(self, update: int) -> Path:
        """Where the ranks of a sharded run write their parts of a checkpoint that has begun."""
        return self._partial(update) / PARTS

    def describe_files(self, update: int, paths: Iterable[Path]) -> dict[str, tuple[int, str]]:
        """Sizes and hashes for `finish`, by the names of the manifest."""
        return describe_files(self._partial(update), paths)

    def finish(
        self,
        update: int,
        optimizer: OptimizerStates,
        training: TrainingJson,
        written: Mapping[str, tuple[int, str]],
    ) -> Path:
        """Write the small files and the manifest, flush and rename the whole; then move `latest`.

        Args:
            written: sizes and hashes of files that other ranks have written and flushed.
        """
        partial = self._partial(update)
        with self.completing(update):
            torch.save(optimizer, partial / OPTIMIZER_FILE)
            write_json(partial / TRAINING_FILE, training)
            write_manifest(partial, written)
            self._remove(self.path(update))  # there after falling back, or where updates were skipped since
            os.replace(partial, self.path(update))
            sync_folder(self.directory)
        self.link("latest", update)
        return self.path(update)

    @contextmanager
    def completing(self, update: int) -> Iterator[None]:
        """Around what writes a checkpoint: if it fails, nothing of it is left, and the user is told."""
        try:
            yield
        except (OSError, SafetensorError, RuntimeError) as error:  # torch.save reports a full disk as a RuntimeError
            raise self.discard(update, error) from error

    def discard(self, update: int, reason: object) -> UserError:
        """Delete a checkpoint that cannot be completed; the error to raise."""
        shutil.rmtree(self._partial(update), ignore_errors=True)
        return UserError(self._cannot_save(update, reason))

    def _partial(self, update: int) -> Path:
        return self.directory / f"{PARTIAL_PREFIX}update_{update}"

    def link(self, name: str, update: int) -> None:
        """Point `checkpoints/<name>` to a checkpoint; the link is replaced in one step."""
        temporary = self.directory / f"{PARTIAL_PREFIX}{name}"
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(f"update_{update}")
        os.replace(temporary, self.directory / name)

    def open(self, directory: Path) -> Checkpoint:
        """A checkpoint that another rank found whole."""
        training = require_json(directory / TRAINING_FILE, f"delete {directory} to go on from the one before")
        return Checkpoint(directory, cast(TrainingJson, training))

    def load_latest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; None if there is none at all.

        Raises:
            UserError: there are checkpoints to resume from, but every one of them is damaged.
        """
        self.remove_partial()
        damaged = []
        for update in self.updates():
            directory = self.path(update)
            if not (directory / "state").exists():
                continue  # kept for its weights only
            problem = find_damage(directory)
            if problem is None:
                self.link("latest", update)
                return self.open(directory)
            damaged.append(f"{directory}: {problem}")
            self.tell(f"warning: {damaged[-1]}; falling back to the checkpoint before")
        if damaged:
            raise UserError(
                f"no checkpoint is whole ({'; '.join(damaged)}); restore one from a copy, or delete "
                f"{self.directory} to start the training anew"
            )
        return None

    def saved_division(self) -> dict[str, int] | None:
        """How the newest checkpoint to resume from divides the batch of an update; None without one."""
        for update in self.updates():
            path = self.path(update) / TRAINING_FILE
            if path.exists():
                training = cast(TrainingJson, require_json(path, f"delete {path.parent.parent} to go on without it"))
                return training["identity"]["division"]
        return None

    def prune(self, keep: Iterable[int], *, num_resumable: int) -> None:
        """Delete what is not needed: all but `keep` and the newest, and the state of those no run resumes from.

        Args:
            keep: updates whose weights are kept: the n best.
            num_resumable: how many of the newest keep their state; with 2, a damaged one has a predecessor.
        """
        kept, resumable = set(keep), 0
        for update in self.updates():
            if (self.path(update) / "state").exists() and resumable < num_resumable:
                resumable += 1
            elif update in kept:
                self._remove(self.path(update) / "state")
            else:
                self._remove(self.path(update))

    def average(self, name: str, updates: list[int]) -> Path:
        """Write `checkpoints/<name>/model.safetensors`: the mean of the weights of several checkpoints.

        Adapters are merged first: the mean of products is no product of means.
        """
        total: dict[str, Tensor] = {}  # in float64: the mean of equal weights is that weight, to the last bit
        for update in updates:
            for key, value in merge_adapters(load_file(self.path(update) / MODEL_FILE)).items():
                if not value.is_floating_point():
                    total[key] = value  # counters have no mean: the last one's, which is the least good
                else:
                    total[key] = total[key] + value.double() if key in total else value.double()
        first = merge_adapters(load_file(self.path(updates[0]) / MODEL_FILE))
        dtypes = {key: value.dtype for key, value in first.items()}
        partial, target = self.directory / f"{PARTIAL_PREFIX}{name}", self.directory / name
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        mean = {
            key: (value / len(updates)).to(dtypes[key]) if dtypes[key].is_floating_point else value
            for key, value in total.items()
        }
        save_file(mean, partial / MODEL_FILE)
        write_json(partial / "average.json", {"updates": sorted(updates)})
        self._remove(target)
        os.replace(partial, target)
        return target

    def remove_partial(self) -> None:
        """Delete what a killed run left half-written."""
        for path in self.directory.glob(f"{PARTIAL_PREFIX}*"):
            self._remove(path)

    def _remove(self, path: Path) -> None:
        """Delete a file, link or folder; a folder disappears in one step, so that no half of one is ever seen."""
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            if not path.name.startswith(PARTIAL_PREFIX):
                trash = self.directory / f"{PARTIAL_PREFIX}trash_{path.parent.name}_{path.name}"
                shutil.rmtree(trash, ignore_errors=True)
                os.replace(path, trash)
                path = trash
            shutil.rmtree(path)

    def _check_space(self, needed_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self.directory).free
        if free_bytes < needed_bytes * FREE_SPACE_MARGIN:
            raise UserError(
                f"{self.directory}: a checkpoint needs {format_bytes(needed_bytes)}, the disk has "
                f"{format_bytes(free_bytes)} free; {self._intact()}; free some space and run run.sh to go on"
            )

    def _cannot_save(self, update: int, reason: object) -> str:
        return (
            f"{self.directory}: cannot write the checkpoint of update {update} ({reason}); is the disk full? "
            f"{self._intact()}; free some space and run run.sh to go on"
        )

    def _intact(self) -> str:
        updates = self.updates()
        return f"the checkpoint of update {updates[0]} is intact" if updates else "there is no earlier checkpoint"


def best_name(criterion: Criterion) -> str:
    """The link to the best checkpoint by a criterion: best_<stat>, best_train_<stat>."""
    return f"best_{'train_' if criterion.dataset == 'train' else ''}{criterion.stat}"


def _tensors(value: object) -> list[Tensor]:
    """All tensors inside nested dicts and lists."""
    if isinstance(value, Tensor):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for child in children for tensor in _tensors(child)]


def _num_bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
