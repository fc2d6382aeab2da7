"""A config and its data in; how the batch of an update is divided over ranks and micro-batches, with a note, out."""

from pathlib import Path

from espnet2.pretrain.inputs import Inputs, make_data
from espnet2.ssl.model import SSLModel
from espnet2.tasks.config import SSLConfig
from espnet2.train.checkpoint import CheckpointFolder
from espnet2.train.data import StepPlan, divided, plan_steps
from espnet2.train.distributed import Ranks
from espnet2.utils.errors import UserError


def divide_batch(
    config: SSLConfig, inputs: Inputs, model: SSLModel, checkpoints: Path, ranks: Ranks
) -> tuple[StepPlan, list[str]]:
    """The division of the config; with `max_bins_per_gpu: auto` the one that fits, or that of the checkpoints.

    Args:
        model: complete, but on no GPU yet.
        checkpoints: of this run, if it began before.

    Returns:
        (the division, lines for the log).

    Raises:
        UserError: see `fit_memory` and `saved_steps`; on all ranks.
    """
    if config.max_bins_per_gpu != "auto":
        return plan_steps(config, ranks.world_size), []
    from espnet2.train.fit_memory import fit_memory, saved_steps  # a second of imports, for this alone

    fitted, failure = None, None
    if ranks.is_first:
        try:
            fitted = saved_steps(config, CheckpointFolder(checkpoints), ranks.world_size)
        except UserError as error:
            failure = str(error)
    fitted, failure = ranks.from_first((fitted, failure))
    if failure:
        raise UserError(failure)
    if fitted is None:
        unloaded = config.model_copy(update={"num_workers": 0})  # a few batches, in this process
        fitted = fit_memory(
            model, config, make_data(unloaded, inputs, model, divided(config, ranks.world_size, 1)), ranks
        )
    return fitted.steps, [fitted.line]
