"""Config, data and machine in, what makes two runs the same run out; resuming another one is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet2.train.config import TrainConfig
from espnet2.utils.errors import UserError

# Keys that may change between two parts of a run: they move no weight, or (max_update) only what is still to come.
FREE_KEYS = frozenset(
    "max_update max_epoch patience num_workers num_threads compile log_interval_updates valid_interval_updates "
    "save_interval_minutes save_interval_updates keep_nbest_models best_model_criterion valid_batch_bins "
    "batch_bins accum_grad max_bins_per_gpu fsdp init_param init_from max_nonfinite probe reference".split()
)


def describe_run(config: TrainConfig, data: Mapping[str, Any], division: Mapping[str, int]) -> dict[str, Any]:
    """What must be equal for a resumed run to be the same run.

    Args:
        data: hashes of indexes and labels.
        division: how a batch is divided; stands for batch_bins, accum_grad and max_bins_per_gpu, which may change
            together with the number of ranks.
    """
    keys = {key: value for key, value in config.model_dump(mode="json").items() if key not in FREE_KEYS}
    return {"config": keys, "data": dict(data), "division": dict(division)}


def check_same_run(saved: Mapping[str, Any], current: Mapping[str, Any], config: TrainConfig, checkpoint: Path) -> None:
    """Refuse to resume a run of other data, labels or config.

    Args:
        saved: of the checkpoint, possibly written before keys that the toolkit has now: these had their defaults.
        current: of this run.
        config: of this run.

    Raises:
        UserError: naming every difference.
    """
    before, now = dict(leaves({**saved, "config": _filled(saved["config"], config)})), dict(leaves(current))
    differing = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
    if differing:
        lines = "".join(f"\n  {key}: {before.get(key)} in the checkpoint, {now.get(key)} now" for key in differing)
        raise UserError(
            f"{checkpoint}: this checkpoint belongs to a run with other settings:{lines}\n"
            "restore them to go on, or give another --output_dir (in a recipe: another --ssl_tag) to train anew"
        )


def _filled(saved: Mapping[str, Any], config: TrainConfig) -> dict[str, Any]:
    """The saved keys and the defaults of those that came later; as it is, where it holds keys that are no more."""
    free = {key: value for key, value in config.model_dump(mode="json").items() if key in FREE_KEYS}
    try:
        filled = config.filled({**saved, **free})
    except UserError:
        return dict(saved)
    return {key: value for key, value in filled.items() if key not in FREE_KEYS}


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """(dotted path, value) of everything in nested mappings and lists."""
    if isinstance(value, Mapping):
        children = value.items()
    elif isinstance(value, list | tuple):
        children = enumerate(value)
    else:
        return [(path, value)]
    return [leaf for key, child in children for leaf in leaves(child, f"{path}.{key}" if path else str(key))]
