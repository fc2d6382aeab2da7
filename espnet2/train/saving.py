"""Saving a training and putting it back; any checkpoint resumes plain, DDP and FSDP2 runs alike.

A save has two halves: `states_of` takes what there is on the device, `save_states` writes it out. Between the two the
training may go on if the states were copied.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch.optim.optimizer import StateDict

from espnet2.train.checkpoint import Checkpoint, CheckpointFolder, OptimizerStates
from espnet2.train.distributed import Ranks
from espnet2.train.state import TrainingJson
from espnet2.train.updater import Updater
from espnet2.utils.errors import UserError


@dataclass(frozen=True)
class SavedStates:
    """What this rank brings into a checkpoint.

    Args:
        weights: model and optimizer as `sharded.collect` names them, what this rank holds of them; or the whole
            model of a run that is not sharded, which the first rank writes.
        small: contents of optimizer.pt.
    """

    sharded: bool
    weights: dict[str, StateDict]
    small: OptimizerStates


def states_of(updater: Updater) -> SavedStates:
    """Weights and optimizer as they are now; not copied."""
    if not updater.replica.sharded:
        return SavedStates(False, {"model": updater.model.state_dict()}, small_state(updater, with_optimizer=True))
    from espnet2.train.sharded import collect

    with_optimizer = bool(updater.optimizer.state)  # none before the first finite update
    weights = collect(updater.model, updater.optimizer, with_optimizer=with_optimizer)
    return SavedStates(True, weights, small_state(updater, with_optimizer=False, sharded=with_optimizer))


def save_states(
    states: SavedStates,
    folder: CheckpointFolder,
    ranks: Ranks,
    update: int,
    training: TrainingJson,
    *,
    before: Callable[[], object],
    after: Callable[[], object],
) -> None:
    """Write a checkpoint; all ranks call it.

    Args:
        training: contents of training.json.
        before, after: called on the first rank around the saving; what they raise counts as a failure to save.

    Raises:
        UserError: on every rank, so that none waits for the others.
    """
    if states.sharded:
        _save_sharded(states, folder, ranks, update, training, before, after)
        return

    def save() -> None:
        before()
        folder.save(update, states.weights["model"], states.small, training)
        after()

    _on_first(ranks, save)


def restore_states(updater: Updater, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights and states into the training."""
    states = checkpoint.optimizer_state()
    model, optimizer = updater.model, updater.optimizer
    if checkpoint.parts.exists():
        from espnet2.train.sharded import read_parts

        read_parts(model, optimizer, checkpoint.parts, with_optimizer=states["sharded_optimizer"])
    elif updater.replica.sharded:
        from espnet2.train.sharded import set_whole_states

        set_whole_states(model, optimizer, checkpoint.model_state(), states["optimizer"])
    else:
        model.load_state_dict(checkpoint.model_state())
        optimizer.load_state_dict(states["optimizer"])
    updater.precision.scaler.load_state_dict(states["scaler"])


def _save_sharded(
    states: SavedStates,
    folder: CheckpointFolder,
    ranks: Ranks,
    update: int,
    training: TrainingJson,
    before: Callable[[], object],
    after: Callable[[], object],
) -> None:
    """Each rank writes what it holds; the first makes one file of the weights and completes the checkpoint."""
    from espnet2.train.sharded import num_bytes, own_parts, write_model_file, write_parts

    def begin() -> None:
        before()
        folder.begin(update, num_bytes(states.weights))

    _on_first(ranks, begin)
    written: dict[str, tuple[int, str]] = {}
    failure = None
    try:
        write_parts(states.weights, folder.parts(update), ranks.group)
        written = folder.describe_files(update, own_parts(folder.parts(update), ranks.rank))
    except Exception as error:  # whatever it is, all ranks have to learn of it
        failure = str(error) or type(error).__name__
    gathered = ranks.gather((written, failure))

    def complete() -> None:
        if failures := [text for _, text in gathered if text]:
            raise folder.discard(update, failures[0])
        files = {name: value for part, _ in gathered for name, value in part.items()}
        with folder.completing(update):
            write_model_file(folder.parts(update), folder.model_file(update))
        folder.finish(update, states.small, training, files)
        after()

    _on_first(ranks, complete)


def small_state(updater: Updater, *, with_optimizer: bool, sharded: bool = False) -> OptimizerStates:
    """What optimizer.pt holds; beside parts it has no optimizer state, but says whether they have one."""
    scaler = updater.precision.scaler.state_dict()
    if with_optimizer:
        return {"optimizer": updater.optimizer.state_dict(), "scaler": scaler}
    return {"sharded_optimizer": sharded, "scaler": scaler}


def _on_first(ranks: Ranks, action: Callable[[], object]) -> None:
    """Do something on the first rank; its failure is one of all ranks."""
    failure = None
    if ranks.is_first:
        try:
            action()
        except (UserError, OSError) as error:
            failure = str(error)
    failure = ranks.from_first(failure)
    if failure is not None:
        raise UserError(failure)
