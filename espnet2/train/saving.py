"""A training in memory in, plain state dictionaries out, and back; the same files for plain, DDP and FSDP2 runs."""

from typing import Any

from torch import Tensor

from espnet2.train.checkpoint import Checkpoint
from espnet2.train.updater import Updater


def gather_states(updater: Updater) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, and the states of optimizer and gradient scaler; whole on the first rank (FSDP2 gathers its shards)."""
    scaler = updater.precision.scaler.state_dict()
    if updater.replica.sharded:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict  # two seconds to import

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        model, optimizer = get_state_dict(updater.model, updater.optimizer, options=options)
        return model, {"optimizer": optimizer, "scaler": scaler}
    return updater.model.state_dict(), {"optimizer": updater.optimizer.state_dict(), "scaler": scaler}


def restore_states(updater: Updater, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's weights and states into the training."""
    states = checkpoint.optimizer_state()
    if updater.replica.sharded:
        from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

        set_state_dict(
            updater.model,
            updater.optimizer,
            model_state_dict=checkpoint.model_state(),
            optim_state_dict=states["optimizer"],
            options=StateDictOptions(full_state_dict=True),
        )
    else:
        updater.model.load_state_dict(checkpoint.model_state())
        updater.optimizer.load_state_dict(states["optimizer"])
    updater.precision.scaler.load_state_dict(states["scaler"])
