"""A function on fake tensors in; every kernel that a device would run for it, with its FLOPs and bytes, out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
from gpu_flops import convolution_backward_flops
from own_kernels import launched
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

# Operators that move no data: views, new memory without contents, questions to a tensor.
FREE = frozenset(
    "view _unsafe_view reshape _reshape_alias transpose t permute expand slice select unsqueeze squeeze alias detach "
    "as_strided unbind split split_with_sizes chunk unfold narrow diagonal view_as_real lift_fresh empty empty_like "
    "empty_strided new_empty new_empty_strided device is_same_size sym_size sym_numel sym_stride sym_storage_offset "
    "_local_scalar_dense layout".split()
)
GATHERS = frozenset(("embedding", "gather", "index_select", "index"))


@dataclass(frozen=True)
class Kernel:
    """One call of a kernel."""

    name: str
    flops: int
    bytes: int  # read and written
    dtype: str  # of its first floating-point input
    groups: int = 1  # of a convolution
    narrow: bool = False  # a convolution of one channel
    instructions: int = 0  # of warps, where they may limit it: our own attention


class KernelRecord(TorchDispatchMode):
    """Inside, every kernel is put into `kernels`."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[Kernel] = []

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name.split("::")[1]
        inputs, outputs = _tensors((args, kwargs)), _tensors(result)
        if func.namespace == "espnet2":
            self.kernels += own_kernels(name, args, result)
        if name not in FREE and func.namespace == "aten" and (inputs or outputs):
            dtype = next((str(x.dtype).removeprefix("torch.") for x in inputs if x.is_floating_point()), "none")
            groups = args[{"convolution": 8, "convolution_backward": 9}[name]] if name.startswith("convol") else 1
            narrow = name.startswith("convol") and min(x.size(1) for x in inputs if x.dim() > 2) == 1
            flops, moved = count_flops(func, args, kwargs, result), _bytes(name, args, inputs, outputs)
            self.kernels.append(Kernel(name, flops, moved, dtype, int(groups), narrow))
        return result


def record(function: Callable[[], object]) -> list[Kernel]:
    """The kernels of a function, in order."""
    with KernelRecord() as recorded:
        function()
    return recorded.kernels


def count_flops(func: torch._ops.OpOverload, args: Iterable[object], kwargs: Mapping[str, object], out: object) -> int:
    """Floating-point operations of one call; none for what only moves values."""
    packet = func._overloadpacket
    if packet is torch.ops.aten.convolution_backward:
        return convolution_backward_flops(*(tuple(x.shape) if isinstance(x, Tensor) else x for x in args))
    name = packet.__name__
    if name.endswith("_") and not name.startswith("_"):  # in place: counted as the operator beside it
        packet = getattr(torch.ops.aten, name.rstrip("_"), packet)
    count = flop_registry.get(packet)
    return int(count(*args, **kwargs, out_val=out)) if count else 0


def own_kernels(name: str, args: Sequence[object], result: object) -> list[Kernel]:
    """What one call of an operator of `espnet2.ssl.kernels` launches."""
    return [
        Kernel(
            launch.name,
            launch.flops,
            sum(map(tensor_bytes, launch.tensors)),
            launch.dtype,
            1,
            False,
            launch.instructions,
        )
        for launch in launched(name, args, result)
    ]


def tensor_bytes(x: Tensor) -> int:
    """Bytes that have to move for a tensor: what is expanded counts once."""
    return x.element_size() * prod(size for size, step in zip(x.shape, x.stride(), strict=True) if step or not size)


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(name: str, args: tuple[object, ...], inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """Inputs are read once and outputs written; what is changed in place is both."""
    if name in ("zero_", "fill_", "zeros_like", "ones_like", "full_like", "zeros", "ones", "full"):
        return sum(map(tensor_bytes, outputs))
    if name in GATHERS:  # not the whole table is read
        return 2 * sum(map(tensor_bytes, outputs))
    if name.startswith("_fused_adam"):  # parameters and both moments are written too
        return sum(map(tensor_bytes, inputs)) + sum(map(tensor_bytes, _tensors([args[0], args[2], args[3]])))
    unique = {id(x): x for x in inputs}
    read = sum(map(tensor_bytes, unique.values()))
    if name.startswith("_foreach") and name.endswith("_"):
        return read + sum(map(tensor_bytes, _tensors(args[0])))
    return read + sum(tensor_bytes(x) for x in outputs if id(x) not in unique or name.endswith("_"))
