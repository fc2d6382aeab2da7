"""One GPU in; a JSON file and a Markdown table of training speed, k-means, feature dump, a NaN and a resume out.

    python benchmark/gpu.py                 # under nine minutes on one GPU; what `make bench-gpu` runs
    python benchmark/gpu.py --tiny          # the same code with a tiny model on a CPU

Every contestant trains on the same synthetic batch of full-length crops, in bf16, with AdamW and clipping.
"""

import argparse
import platform
import tempfile
import time
from pathlib import Path

import torch
from gpu_recovery import kill_and_resume, nonfinite_step
from gpu_training import (
    SAMPLE_RATE,
    TINY,
    Ours,
    Size,
    Speed,
    Torchaudio,
    Transformers,
    make_config,
    matmul_ceiling,
    measure,
    synchronize,
)

from espnet2.tasks.build import build
from espnet2.units.features import LayerFeatures
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write, write_json


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a tiny model on the CPU: tests the code, measures nothing")
    parser.add_argument("--output", type=Path, default=Path("benchmark/results"), help="folder for gpu.json and gpu.md")
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        raise UserError(f"PyTorch {torch.__version__} sees no GPU; --tiny runs the same code on the CPU")
    device = torch.device("cpu" if arguments.tiny else "cuda")
    size = TINY if arguments.tiny else Size()
    started = time.monotonic()
    results = {"device": device_name(device), "torch": torch.__version__, "python": platform.python_version()}
    results |= {"batch": f"{size.batch_size} x {size.num_samples / SAMPLE_RATE:.1f} s"}
    results["training"] = compare_training(size, device, compiled=not arguments.tiny)
    results["units"] = time_units(size, device)
    say("a step that is not finite")
    results["nonfinite_step"] = nonfinite_step(size, device)
    say("kill and resume")
    with tempfile.TemporaryDirectory() as folder:
        results["kill_and_resume"] = kill_and_resume(size, device, Path(folder))
    results["wall_seconds"] = round(time.monotonic() - started, 1)
    write_json(arguments.output / "gpu.json", results)
    with atomic_write(arguments.output / "gpu.md") as stream:
        stream.write(as_markdown(results))
    print(as_markdown(results))


def say(what: str) -> None:
    """Progress."""
    print(f"# {what} ...", flush=True)


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"


def compare_training(size: Size, device: torch.device, *, compiled: bool) -> dict[str, object]:
    """All contestants on the same batch, and what the device could do at best."""
    say("matrix-product ceiling")
    ceiling = matmul_ceiling(size, device)
    ours = Ours(size, device)
    flops = ours.flops_per_second_of_audio()
    silent = ours.launch_without_synchronising() if device.type == "cuda" else None
    contestants = {"this toolkit, eager": lambda: Ours(size, device)}
    if compiled:
        contestants["this toolkit, compiled"] = lambda: Ours(size, device, compile=True)
    contestants |= {"transformers": lambda: Transformers(size, device), "torchaudio": lambda: Torchaudio(size, device)}
    del ours
    rows = []
    for name, make in contestants.items():
        say(f"training: {name}")
        speed: Speed = measure(name, make(), size, device)
        rows.append({**speed._asdict(), "ceiling_share": speed.audio_per_second * flops / (ceiling * 1e12)})
    return {
        "matmul_tflops": ceiling,
        "gflops_per_second_of_audio": flops / 1e9,
        "launched_without_synchronising": silent,
        "rows": rows,
    }


def time_units(size: Size, device: torch.device) -> dict[str, float]:
    """k-means, labelling and feature extraction from a middle layer."""
    say("k-means")
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(size.kmeans_frames, size.dim, generator=generator)
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
    say("feature dump")
    layer = size.num_layers // 2
    extractor = LayerFeatures(build(make_config(size)), [layer], SAMPLE_RATE, device)
    wavs = [0.1 * torch.randn(size.num_samples, generator=generator) for _ in range(4 * size.batch_size)]
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


def as_markdown(results: dict) -> str:
    """The report."""
    training, units, resume = results["training"], results["units"], results["kill_and_resume"]
    nonfinite = results["nonfinite_step"]
    lines = [
        f"# Training on {results['device']}",
        "",
        f"PyTorch {results['torch']}, Python {results['python']}, batch {results['batch']}; "
        f"the whole run took {results['wall_seconds']} s.",
        f"Matrix products reach {training['matmul_tflops']:.1f} TFLOP/s (bf16); one second of audio costs "
        f"{training['gflops_per_second_of_audio']:.1f} GFLOP. Updates launched without waiting for the device: "
        f"{training['launched_without_synchronising']}.",
        "",
        "| | s of audio per s | ms per update | share of the ceiling | peak memory (GB) |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in training["rows"]:
        lines.append(
            f"| {row['name']} | {row['audio_per_second']:.0f} | {row['update_ms']:.1f} | "
            f"{100 * row['ceiling_share']:.1f} % | {row['peak_gb']:.1f} |"
        )
    lines += [
        "",
        f"* k-means: {units['kmeans_frames']:,} frames of {units['kmeans_dim']}, K = {units['kmeans_clusters']}: "
        f"{units['kmeans_seconds']:.2f} s ({units['kmeans_passes']} passes); labelling "
        f"{units['labelled_frames_per_second']:,.0f} frames per s.",
        f"* Feature dump (layer {units['dump_layer']}): {units['dump_audio_per_second']:.0f} s of audio per s.",
        f"* A NaN in one update: noticed {nonfinite['noticed']}, weights unchanged {nonfinite['weights_unchanged']}, "
        f"next update finite {nonfinite['next_update_finite']}.",
        f"* SIGKILL after the checkpoint of update {resume['killed_after_update']} of {resume['updates']}, then "
        f"resumed: validation loss {resume['loss_resumed']:.6f}, unbroken {resume['loss_unbroken']:.6f}, weights "
        f"identical: {resume['weights_identical']}.",
        f"* With the loader in the loop: {resume['trained_audio_per_second']:.0f} s of audio per s.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
