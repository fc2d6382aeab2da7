"""The sections of the GPU benchmark, in the order of what a first quarter of an hour on a device should tell."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from gpu_kernels import time_attention, time_convolutions
from gpu_positions import time_positions
from gpu_profile import profile_update
from gpu_recovery import kill_and_resume, nonfinite_step
from gpu_timing import synchronize
from gpu_training import SAMPLE_RATE, Ours, Size, Torchaudio, Transformers, make_config, matmul_ceiling, measure

from espnet2.ssl.modules.attention_backend import fused_attention
from espnet2.ssl.modules.formulation import formulated_for_cuda
from espnet2.tasks.build import build
from espnet2.units.features import LayerFeatures
from espnet2.units.kmeans import assign, fit_kmeans

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | float | bool | None"


@dataclass(frozen=True)
class Bench:
    """What every section gets."""

    size: Size
    device: torch.device
    output: Path  # folder


def profile_section(bench: Bench) -> JSON:
    """Kernels of one eager update."""
    ours = Ours(bench.size, bench.device)
    return asdict(profile_update(ours, bench.device, bench.output / "update_trace.json.gz"))


def convolutions_section(bench: Bench) -> JSON:
    """The 16 calls of convolutions (8 forward, 8 backward) in three layouts."""
    return [asdict(row) for row in time_convolutions(bench.size, bench.device)]


def attention_section(bench: Bench) -> JSON:
    """Back ends of attention, without and with a mask."""
    return [asdict(row) for row in time_attention(bench.size, bench.device)]


def positions_section(bench: Bench) -> JSON:
    """Attention with biases of positions as tensors, and with them made inside our kernel."""
    return [asdict(row) for row in time_positions(bench.size, bench.device)]


def ceiling_section(bench: Bench) -> JSON:
    """What the device does at best, what an update costs, and whether it is launched without waiting."""
    ours = Ours(bench.size, bench.device)
    flops = ours.flops_per_second_of_audio()
    silent = ours.launch_without_synchronising() if bench.device.type == "cuda" else None
    return {
        "matmul_tflops": matmul_ceiling(bench.size, bench.device),
        "gflops_per_second_of_audio": flops / 1e9,
        "launched_without_synchronising": silent,
    }


def eager_section(bench: Bench) -> JSON:
    """Updates of this toolkit, eager."""
    return _speed(bench)


def compiled_section(bench: Bench) -> JSON:
    """Updates of this toolkit with `compile: true`."""
    return _speed(bench, compile=True)


def one_graph_section(bench: Bench) -> JSON:
    """Updates of this toolkit with `compile: whole`, the default on a GPU."""
    return _speed(bench, compile="whole")


def as_on_cpu_section(bench: Bench) -> JSON:
    """Eager updates with convolutions and biases as a CPU computes them."""
    with formulated_for_cuda(False):
        return _speed(bench)


def default_attention_section(bench: Bench) -> JSON:
    """Eager updates whose attention takes the kernel that this version of PyTorch would choose."""
    return measure(Ours(bench.size, bench.device), bench.size, bench.device)._asdict()


def recomputed_section(bench: Bench) -> JSON:
    """Eager updates that compute every block again in the backward pass."""
    return _speed(bench, encoder_conf={"recompute_blocks": True})


def narrow_norms_section(bench: Bench) -> JSON:
    """Eager updates whose LayerNorms and residual are in bf16."""
    return _speed(bench, encoder_conf={"norm_output": "autocast"})


def gated_bias_section(bench: Bench) -> JSON:
    """Eager updates with WavLM's positions as tensors."""
    return _speed(bench, encoder_conf={"attention_position": "gated_relative"})


def gated_kernel_section(bench: Bench) -> JSON:
    """The same with our kernel; nothing where it does not run."""
    if bench.device.type != "cuda":
        return None
    return _speed(bench, encoder_conf={"attention_position": "gated_relative", "attention_kernel": "triton"})


def _speed(bench: Bench, **changes: object) -> JSON:
    """Of our updates, with attention's kernels as the trainer chooses them."""
    with fused_attention(bench.device):
        return measure(Ours(bench.size, bench.device, **changes), bench.size, bench.device)._asdict()


def transformers_section(bench: Bench) -> JSON:
    """Updates of transformers' model."""
    return measure(Transformers(bench.size, bench.device), bench.size, bench.device)._asdict()


def torchaudio_section(bench: Bench) -> JSON:
    """Updates of torchaudio's model."""
    return measure(Torchaudio(bench.size, bench.device), bench.size, bench.device)._asdict()


def nonfinite_section(bench: Bench) -> JSON:
    """One NaN in the audio."""
    return dict(nonfinite_step(bench.size, bench.device))


def resume_section(bench: Bench) -> JSON:
    """SIGKILL and resume, through the command."""
    with tempfile.TemporaryDirectory() as folder:
        return kill_and_resume(bench.size, bench.device, Path(folder))


def units_section(bench: Bench) -> JSON:
    """k-means, labelling and feature extraction from a middle layer."""
    size, device = bench.size, bench.device
    generator = torch.Generator(device).manual_seed(0)
    frames = torch.randn(size.kmeans_frames, size.dim, generator=generator, device=device).cpu()
    started = time.perf_counter()
    fit = fit_kmeans(frames, size.kmeans_clusters, device=device)
    fit_seconds = time.perf_counter() - started
    on_device, centroids = frames.to(device), fit.centroids.to(device)
    assign(on_device, centroids)
    synchronize(device)
    started = time.perf_counter()
    assign(on_device, centroids)
    synchronize(device)
    assign_seconds = time.perf_counter() - started
    layer = size.num_layers // 2
    extractor = LayerFeatures(build(make_config(size)), [layer], SAMPLE_RATE, device)
    wavs = [0.1 * torch.randn(size.num_samples) for _ in range(4 * size.batch_size)]
    extractor.extract(wavs[: size.batch_size])
    synchronize(device)
    started = time.perf_counter()
    extractor.extract(wavs)
    synchronize(device)
    dump_seconds = time.perf_counter() - started
    return {
        "kmeans_frames": size.kmeans_frames,
        "kmeans_clusters": size.kmeans_clusters,
        "kmeans_dim": size.dim,
        "kmeans_seconds": fit_seconds,
        "kmeans_passes": fit.num_passes,
        "labelled_frames_per_second": size.kmeans_frames / assign_seconds,
        "dump_layer": layer,
        "dump_audio_per_second": sum(map(len, wavs)) / SAMPLE_RATE / dump_seconds,
    }


SECTIONS: dict[str, Callable[[Bench], JSON]] = {
    "profile": profile_section,
    "convolutions": convolutions_section,
    "attention": attention_section,
    "positions": positions_section,
    "ceiling": ceiling_section,
    "eager": eager_section,
    "compiled": compiled_section,
    "one_graph": one_graph_section,
    "transformers": transformers_section,
    "as_on_cpu": as_on_cpu_section,
    "default_attention": default_attention_section,
    "recomputed": recomputed_section,
    "narrow_norms": narrow_norms_section,
    "gated_bias": gated_bias_section,
    "gated_kernel": gated_kernel_section,
    "nonfinite": nonfinite_section,
    "torchaudio": torchaudio_section,
    "units": units_section,
    "resume": resume_section,
}
