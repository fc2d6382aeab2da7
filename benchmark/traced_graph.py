"""A training step on fake tensors in; the kernels of inductor's one graph for it, without compiling any, out.

Uses what PyTorch calls private (inductor's lowering and scheduler), as of 2.13; `FusedTrace` fails by name elsewhere.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch._dynamo.utils import detect_fake_mode
from torch._functorch._aot_autograd.utils import make_boxed_func
from torch._functorch.aot_autograd import aot_function
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch._inductor import config as inductor_config
from torch._inductor.compile_fx import _recursive_post_grad_passes, view_to_reshape
from torch._inductor.debug import DebugContext
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.fx_passes import joint_graph
from torch._inductor.graph import GraphLowering
from torch._inductor.virtualized import V
from torch.fx import GraphModule, Node, map_arg
from traced_kernels import Kernel, count_flops, own_kernels

Compiled = Callable[..., Any]


class FusedTrace:
    """Compiles a function of tensors in name only: what inductor would launch forward and backward is in `kernels`."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []

    def trace(self, function: Callable[..., Any]) -> Compiled:
        """A function that is lowered at its first call, and whose results are fake; so is its backward."""

        def partition(graph: GraphModule, joint_inputs: Sequence[object], **options: object) -> object:
            with V.set_fake_mode(detect_fake_mode(joint_inputs)):
                joint_graph.joint_graph_passes(graph)
            return min_cut_rematerialization_partition(graph, joint_inputs, compiler="inductor", **options)

        return aot_function(
            function,
            fw_compiler=lambda graph, inputs: self._lower(graph, inputs, is_backward=False),
            bw_compiler=lambda graph, inputs: self._lower(graph, inputs, is_backward=True),
            partition_fn=partition,
            decompositions=select_decomp_table(),
            keep_inference_input_mutations=True,
        )

    def _lower(self, graph: GraphModule, inputs: Sequence[Tensor], *, is_backward: bool) -> Compiled:
        with V.set_fake_mode(detect_fake_mode(inputs)):
            view_to_reshape(graph)
            _recursive_post_grad_passes(graph, is_inference=False)
            lowering = GraphLowering(graph, shape_env=None, is_inference=False, is_backward=is_backward)
            with V.set_graph_handler(lowering), V.set_debug_handler(DebugContext()):
                lowering.run(*inputs)
                lowering.init_wrapper_code()
                lowering._update_scheduler()
                for scheduled in lowering.scheduler.nodes:
                    self._add(scheduled)
        return make_boxed_func(graph.forward)

    def _add(self, scheduled: Any) -> None:
        """One kernel of the schedule: fused by inductor, or a call of a library."""
        moved = int(scheduled.get_read_write_buffers_sizes())
        nodes = [sub.node for sub in scheduled.get_nodes() if sub.node is not None]
        origins = [origin for node in nodes for origin in node.get_origins()]
        if type(scheduled).__name__ != "ExternKernelSchedulerNode":
            self.kernels.append(Kernel("fused", 0, moved, "bfloat16"))
        elif ours := [origin for origin in origins if getattr(origin.target, "namespace", "") == "espnet2"]:
            if type(nodes[0]).__name__ != "MultiOutput":
                name, values = (
                    ours[0].target._schema.name.split("::")[1],
                    map_arg(ours[0].args, lambda x: x.meta["val"]),
                )
                self.kernels += own_kernels(name, values, ours[0].meta["val"])
        elif moved:  # else: another output of a call that was counted
            self.kernels.append(_library_call(nodes[0], origins, moved))


def _library_call(node: Any, origins: Sequence[Node], moved: int) -> Kernel:
    flops, name, dtype, groups, narrow = 0, str(getattr(node, "python_kernel_name", "")), "float32", 1, False
    for origin in origins:
        if not isinstance(origin.target, torch._ops.OpOverload):
            continue
        args, kwargs = map_arg((origin.args, origin.kwargs), lambda argument: argument.meta["val"])
        counted = count_flops(origin.target, args, kwargs, origin.meta["val"])
        if counted >= flops:
            flops, name = counted, origin.target._schema.name.split("::")[1]
            tensors = [x for x in args if isinstance(x, Tensor)]
            dtype = next((str(x.dtype).removeprefix("torch.") for x in tensors if x.is_floating_point()), "none")
            if name.startswith("convolution"):
                groups = args[{"convolution": 8, "convolution_backward": 9}[name]]
                narrow = min(x.size(1) for x in tensors if x.dim() > 2) == 1
    return Kernel(name, flops, moved, dtype, groups, narrow)


@contextmanager
def lowering_settings() -> Iterator[None]:
    """Inductor without its pattern matcher, which computes with real tensors of the device."""
    settings = {"pattern_matcher": False, "compile_threads": 1, "fallback_random": False}
    with inductor_config.patch(settings), mock.patch.object(joint_graph, "lazy_init", lambda *a, **k: None):
        yield
