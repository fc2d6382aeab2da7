"""A model and the one that it starts from in, lines that say what came along, starts anew and stays behind out."""

from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

from espnet2.models.find import ModelFiles
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import read_weights, teacher_names

OBJECTIVES = "objectives."
SHOWN = 6  # parts of one kind in a line


def describe_transfer(model: SSLModel, copied: Collection[str], source: ModelFiles) -> list[str]:
    """What `load_whole` did.

    Args:
        copied: the names of the model's weights that came along.
        source: the model of `init_from`.
    """
    theirs = read_weights(source.weights)
    shared = [name for name in copied if not name.startswith(OBJECTIVES)]
    values = sum(theirs[name].numel() for name in shared)
    lines = [f"init_from {source.name} (hash {source.hash}): frontend and encoder whole, {values:,} values"]
    for entry, objective in model.entries():
        lines.append(f"init_from: {entry}: {_describe_entry(model, f'{OBJECTIVES}{entry}.', copied, theirs)}")
        if any(theirs[name].shape[:1] == (objective.context.num_classes,) for name in copied if _is_of(name, entry)):
            lines.append(
                f"init_from: {entry}: its outputs came along by number: they mean something only where the labels are "
                "of the k-means that the model was trained on"
            )
    ours = set(model.state_dict())
    if left := _parts((name for name in theirs if name not in ours), 2):
        lines.append(f"init_from: left aside there: {_listed(left)}")
    return lines


def _describe_entry(model: SSLModel, prefix: str, copied: Collection[str], theirs: Mapping[str, Tensor]) -> str:
    weights = {name: value for name, value in model.state_dict().items() if name.startswith(prefix)}
    teachers = {name for name in teacher_names(model) if name not in copied}
    came = _parts((name for name in weights if name in copied), 3)
    anew = _parts((name for name in weights if name not in copied and name not in teachers), 3)
    other_shapes = [
        f"{name.removeprefix(prefix)} {tuple(theirs[name].shape)} there, {tuple(weights[name].shape)} here"
        for name in weights
        if name in theirs and name not in copied
    ]
    parts = [f"as there: {_listed(came)}" if came else "nothing of the objective is as there"]
    if anew:
        parts.append(f"starts anew: {_listed(anew)}")
    if other_shapes:
        parts.append(f"of another shape: {_listed(other_shapes)}")
    if teachers & weights.keys():
        parts.append("the teacher starts as a copy of the encoder")
    return "; ".join(parts)


def _is_of(name: str, entry: str) -> bool:
    return name.startswith(f"{OBJECTIVES}{entry}.")


def _parts(names: Iterable[str], depth: int) -> list[str]:
    """The first parts of names, each once and in their order: of objectives.<entry>.<part>.weight the part."""
    split = (name.split(".") for name in names)
    return list(dict.fromkeys(path[depth - 1] if depth == 3 else ".".join(path[:depth]) for path in split))


def _listed(parts: list[str]) -> str:
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
    return ", ".join(parts[:SHOWN]) + more
