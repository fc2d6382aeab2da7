"""Weights and optimizer of all ranks in, a folder of parts and one file of the model out; never whole in memory.

The parts are those of torch.distributed.checkpoint: each rank writes what it holds, and any number of ranks, sharded or
not, reads what it needs.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer
from torch.optim.optimizer import StateDict

MODEL_PREFIX = "model."
READ_BYTES = 1_000_000_000  # of weights at a time, when they become one file
HEADER_ALIGNMENT = 8  # of a safetensors file: its header is padded with blanks (safetensors, format description)
DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def collect(model: nn.Module, optimizer: Optimizer, *, with_optimizer: bool) -> dict[str, StateDict]:
    """What this rank holds, by name. An optimizer without state is given one of zeros, as there is none to fill."""
    states: dict[str, StateDict] = {"model": get_model_state_dict(model)}
    if with_optimizer:
        states["optimizer"] = get_optimizer_state_dict(model, optimizer)
    return states


def write_parts(states: dict[str, StateDict], folder: Path, group: dist.ProcessGroup | None = None) -> None:
    """Write this rank's part; all ranks call it, and each returns when all have written and flushed theirs.

    Args:
        group: by which they speak; a thread needs one of its own.

    Raises:
        OSError: on every rank, if any of them cannot write.
    """
    try:
        dcp.save(states, storage_writer=dcp.FileSystemWriter(folder, sync_files=True), process_group=group)
    except dcp.CheckpointException as error:  # of every rank's failures, with tracebacks; not an Exception
        rank, (reason, _) = next(iter(error.failures.items()))
        raise OSError(f"rank {rank}: {reason}") from error


def own_parts(folder: Path, rank: int) -> list[Path]:
    """The files that a rank has written."""
    return sorted(folder.glob(f"__{rank}_*"))


def read_parts(model: nn.Module, optimizer: Optimizer, folder: Path, *, with_optimizer: bool) -> None:
    """Put the parts into a model and its optimizer; both may be sharded over any number of ranks, or not at all."""
    states = collect(model, optimizer, with_optimizer=with_optimizer)
    dcp.load(states, storage_reader=dcp.FileSystemReader(folder))
    set_model_state_dict(model, states["model"])
    if with_optimizer:
        set_optimizer_state_dict(model, optimizer, states["optimizer"])


def set_whole_states(
    model: nn.Module, optimizer: Optimizer, weights: Mapping[str, Tensor], optimizer_state: StateDict
) -> None:
    """Divide the states of a run that was not sharded over the ranks of one that is."""
    options = StateDictOptions(full_state_dict=True)
    set_model_state_dict(model, dict(weights), options=options)
    if optimizer_state["state"]:
        set_optimizer_state_dict(model, optimizer, _by_name(model, optimizer, optimizer_state), options=options)


def num_bytes(states: Mapping[str, StateDict]) -> int:
    """Of all ranks together, and of the model once more as one file."""
    optimizer = states.get("optimizer", {"state": {}})["state"]
    moments = (value for state in optimizer.values() for value in state.values() if isinstance(value, Tensor))
    return 2 * sum(map(_size, states["model"].values())) + sum(map(_size, moments))


def write_model_file(folder: Path, path: Path) -> None:
    """Turn the parts of the weights into one safetensors file, a gigabyte (or one tensor) at a time, by one process."""
    reader = dcp.FileSystemReader(folder)
    weights = {
        name.removeprefix(MODEL_PREFIX): value
        for name, value in sorted(reader.read_metadata().state_dict_metadata.items())
        if name.startswith(MODEL_PREFIX) and isinstance(value, TensorStorageMetadata)
    }
    header, end = {}, 0
    for name, value in weights.items():
        start, end = end, end + value.size.numel() * value.properties.dtype.itemsize
        shape = list(value.size)
        header[name] = {"dtype": DTYPE_NAMES[value.properties.dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT)
    with open(path, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for names in _groups(weights):
            tensors = {name: torch.empty(weights[name].size, dtype=weights[name].properties.dtype) for name in names}
            dcp.load({"model": tensors}, storage_reader=dcp.FileSystemReader(folder), no_dist=True)
            for name in names:
                stream.write(tensors[name].reshape(-1).view(torch.uint8).numpy().data)


def _groups(weights: Mapping[str, TensorStorageMetadata]) -> Iterator[list[str]]:
    """Names in their order, as many at a time as fit READ_BYTES; at least one."""
    names: list[str] = []
    total = 0
    for name, value in weights.items():
        size = value.size.numel() * value.properties.dtype.itemsize
        if names and total + size > READ_BYTES:
            yield names
            names, total = [], 0
        names.append(name)
        total += size
    if names:
        yield names


def _by_name(model: nn.Module, optimizer: Optimizer, state: StateDict) -> StateDict:
    """An optimizer's state with the names of parameters instead of their numbers."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    ordered = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
    groups = [{**group, "params": [ordered[number] for number in group["params"]]} for group in state["param_groups"]]
    return {"state": {ordered[number]: value for number, value in state["state"].items()}, "param_groups": groups}


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()  # a sharded tensor counts its elements on all ranks
