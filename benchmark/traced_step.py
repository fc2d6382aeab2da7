"""A config in; kernels, FLOPs, bytes and predicted speed of one training update on an H200 out, without any GPU.

    python benchmark/traced_step.py                                  # HuBERT Base, 22 x 15.6 s
    python benchmark/traced_step.py --config conf/train_wavlm_base.yaml --eager_only
    python benchmark/traced_step.py --padded

Traced on fake tensors: kernels, their types, FLOPs and bytes are exact for eager mode. Times are a model (roofline.py).
The one graph is inductor's lowering and scheduling for a CPU, which fuse by the same rules as for a GPU.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

import carried  # noqa: F401 - first: it puts the toolkit and what it needs on the path
import torch
from roofline import CALIBRATION, HOPED, SOBER, seconds
from torch import Tensor
from traced_kernels import Kernel, record
from traced_model import NUM_CLASSES, Shape, traced_update

from espnet2.tasks.build import needs_labels, with_num_classes
from espnet2.tasks.config import SSLConfig, load_config
from espnet2.train.traced_update import TracedUpdate, tracing
from espnet2.utils.errors import run_main

BASE = Path(__file__).resolve().parent.parent / "egs2/TEMPLATE/ssl1/conf/train_hubert_base.yaml"
# What a table compares: name -> (formulated for CUDA, one graph)
VARIANTS = {
    "eager, as on a CPU": (False, False),
    "eager, as on CUDA": (True, False),
    "one graph, as on a CPU": (False, True),
    "one graph, as on CUDA": (True, True),
}


def traced_config(path: str | Path, overrides: Sequence[str] = ()) -> SSLConfig:
    """A config with a number of classes where its labels would give one, not compiled by itself."""
    config = load_config(path, overrides)
    if needs_labels(config):
        config = with_num_classes(config, NUM_CLASSES)
    return config.model_copy(update={"compile": False})


def eager_kernels(config: SSLConfig, shape: Shape, *, for_cuda: bool = True) -> list[Kernel]:
    """All kernels of one update."""
    with tracing(for_cuda=for_cuda):
        update = traced_update(config, shape)
        update()  # the first one makes the optimizer's state
        return record(update)


def graph_kernels(config: SSLConfig, shape: Shape, *, for_cuda: bool = True) -> list[Kernel]:
    """The same with forward and backward as one graph of inductor."""
    from traced_graph import FusedTrace, lowering_settings

    compiling = mock.patch.object(torch.compiler, "is_compiling", lambda: True)
    fused = FusedTrace()
    with tracing(for_cuda=for_cuda), lowering_settings():
        update = traced_update(config, shape)
        update()
        step = record(update.step_only)
        tensors = {**dict(update.model.named_parameters()), **dict(update.model.named_buffers())}
        with compiling:
            fused.trace(_loss_of(update, config))(tensors, update.tensors())[0].backward()
    return fused.kernels + step


def _loss_of(update: TracedUpdate, config: SSLConfig) -> Callable[..., tuple[Tensor, list[Tensor]]]:
    def loss(weights: dict[str, Tensor], inputs: dict[str, object]) -> tuple[Tensor, list[Tensor]]:
        with update.updater.precision.autocast():
            losses = torch.func.functional_call(update.model, weights, (replace(update.prepared.batch, **inputs),))
        terms = [term.total.float() * term.weight for loss in losses.values() for term in loss.terms]
        return torch.stack(terms).sum(), [figure.total for loss in losses.values() for figure in loss.stats.values()]

    return loss


def row(name: str, kernels: Sequence[Kernel], audio_seconds: float) -> str:
    """One line of the table."""
    flops = sum(kernel.flops for kernel in kernels) / audio_seconds / 1e9
    megabytes = sum(kernel.bytes for kernel in kernels) / audio_seconds / 1e6
    hoped, sober = (audio_seconds / seconds(kernels, shares) for shares in (HOPED, SOBER))
    speeds = " | ".join(f"{value:,.0f}" for value in (hoped, sober, sober / CALIBRATION))
    return f"| {name} | {len(kernels):,} | {flops:.1f} | {megabytes:.0f} | {speeds} |"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=BASE, help="YAML of a training (default: HuBERT Base of the template)")
    parser.add_argument("--clips", type=int, default=22, help="rows of the micro-batch (default: 22)")
    parser.add_argument("--seconds", type=float, default=15.625, help="of a row (default: 15.625)")
    parser.add_argument("--padded", action="store_true", help="rows of two lengths, as in validation and crop: pad")
    parser.add_argument("--eager_only", action="store_true", help="without the one graph, which takes a minute or two")
    arguments, overrides = parser.parse_known_args()
    config = traced_config(arguments.config, overrides)
    shape = Shape(arguments.clips, arguments.seconds, arguments.padded)
    print(f"{Path(arguments.config).stem}: {shape.clips} x {shape.seconds:g} s{', padded' * shape.padded}\n")
    print("| | kernels | GFLOP / s audio | MB / s audio | hoped, s/s | sober, s/s | calibrated, s/s |")
    print("|---|--:|--:|--:|--:|--:|--:|", flush=True)
    for name, (for_cuda, one_graph) in VARIANTS.items():
        if one_graph and arguments.eager_only:
            continue
        kernels = (graph_kernels if one_graph else eager_kernels)(config, shape, for_cuda=for_cuda)
        print(row(name, kernels, shape.audio_seconds), flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
