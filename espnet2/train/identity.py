"""The guard of resuming: what makes two runs the same run; another one is refused."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from espnet2.train.config import TrainConfig
from espnet2.train.data import plan_steps
from espnet2.utils.config import Tag, dump_without, tagged_keys
from espnet2.utils.errors import UserError


class Identity(TypedDict):
    """What must be equal, as training.json holds it."""

    config: dict[str, object]
    data: dict[str, object]  # hashes of indexes and labels
    division: dict[str, int]  # of the batch of an update


def describe_run(config: TrainConfig, data: Mapping[str, object], division: Mapping[str, int]) -> Identity:
    """What must be equal for a resumed run to be the same run.

    Args:
        data: hashes of indexes and labels.
        division: how a batch is divided; stands for batch_bins, accum_grad and max_bins_per_gpu, which may change
            together with the number of ranks.
    """
    return {"config": dump_without(config, Tag.FREE_ON_RESUME), "data": dict(data), "division": dict(division)}


def check_same_run(saved: Identity, current: Identity, config: TrainConfig, checkpoint: Path) -> None:
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
            f"{_division_remedy(differing, saved, config)}"
            "restore them to go on, or give another --output_dir (in a recipe: another --ssl_tag) to train anew"
        )


def _division_remedy(differing: Sequence[str], saved: Identity, config: TrainConfig) -> str:
    """Where only the number of processes is another: the value of `max_bins_per_gpu` that divides the batch as before.

    The mean over the micro-batches of an update is the same however many processes share them, so a run goes on with
    any number of them that divides the micro-batches evenly.
    """
    if not differing or any(not key.startswith("division.") for key in differing):
        return ""
    shard, parts = saved["division"]["shard_samples"], saved["division"]["micro_batches"]
    bounded = config.model_copy(update={"max_bins_per_gpu": shard})
    plans = {size: plan_steps(bounded, size) for size in range(1, parts + 1)}
    fitting = [str(size) for size, plan in plans.items() if (plan.shard_samples, plan.micro_batches) == (shard, parts)]
    if not fitting:
        return ""
    return f"to go on with {' or '.join(fitting)} processes, divide it as before: --max_bins_per_gpu {shard}; or "


def _filled(saved: Mapping[str, object], config: TrainConfig) -> dict[str, object]:
    """The saved keys and the defaults of those that came later; as it is, where it holds keys that are no more."""
    free = config.model_dump(mode="json", include=set(tagged_keys(type(config), Tag.FREE_ON_RESUME)))
    try:
        return dump_without(config.filled({**saved, **free}), Tag.FREE_ON_RESUME)
    except UserError:
        return dict(saved)


def leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    """(dotted path, value) of everything in nested mappings and lists."""
    children: Iterable[tuple[object, object]]
    if isinstance(value, Mapping):
        children = value.items()
    elif isinstance(value, list | tuple):
        children = enumerate(value)
    else:
        return [(path, value)]
    return [leaf for key, child in children for leaf in leaves(child, f"{path}.{key}" if path else str(key))]
