"""Every objective's configs in; seconds of audio per second of training and peak memory, side by side, out.

    python benchmark/objectives.py                                  # every objective, mini and BASE size
    python benchmark/objectives.py --objectives "hubert wavlm" --sizes mini --seconds 2
    python benchmark/objectives.py --device cuda --sizes base       # bf16, as the configs say

Each trains on the same noise (forward, backward, optimizer step, teachers and codebooks; without loading) in a process
of its own. What objectives.json has already, of the same config and settings, is not measured again (--fresh: it is).
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from espnet2.data.batch import Batch
from espnet2.data.dataset import Loaded
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective import objective_class, objective_names
from espnet2.ssl.objective.base import TaughtConfig
from espnet2.tasks.build import build, count_parameters, needs_labels, with_num_classes
from espnet2.tasks.config import SSLConfig, load_config
from espnet2.train.distributed import Ranks
from espnet2.train.updater import Updater, prepare
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write, hash_value, write_json

CONFIGS = Path(__file__).resolve().parents[1] / "egs2/TEMPLATE/ssl1/conf"
SIZES = ("mini", "base")
MIN_UPDATES = 3  # timed, however slow; their median counts
NUM_BATCHES = 4  # of noise, used in turn
# What one update trains on: (clips, seconds of each).
AUDIO = {
    ("mini", "cpu"): (4, 2.5),  # 10 s: batch_bins of the mini configs
    ("base", "cpu"): (2, 8.0),
    ("mini", "cuda"): (64, 2.5),
    ("base", "cuda"): (8, 15.6),  # 125 s: fits beside every BASE model on a GPU of 80 GB
}
NUM_CLASSES = {"mini": 100, "base": 500}  # of labels, for the objectives that train on them
SETTINGS = ("device", "seconds", "threads", "clips", "clip_seconds")


@dataclass(frozen=True)
class Job:
    """One measurement."""

    objective: str
    size: str
    device: str
    seconds: float  # timed at least so long
    threads: int
    clips: int
    clip_seconds: float

    @property
    def path(self) -> Path:
        return CONFIGS / f"train_{self.objective}_{self.size}.yaml"

    def config(self) -> SSLConfig:
        """The config as it is shipped; only `max_update` has no meaning here."""
        config = load_config(self.path)
        return with_num_classes(config, NUM_CLASSES[self.size]) if needs_labels(config) else config

    def hash(self) -> str:
        """Of all that the figures depend on but the machine's mood."""
        settings = {name: getattr(self, name) for name in SETTINGS}
        return hash_value([self.config().model_dump(mode="json"), settings, torch.__version__, platform.node()])


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", default=" ".join(untaught()), help="names (%(default)s)")
    parser.add_argument("--sizes", default=" ".join(SIZES), help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="timed for each (%(default)s)")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--num_threads", type=int, default=default_threads(), help="on a CPU (%(default)s)")
    parser.add_argument("--clips", type=int, help="per update, instead of the size's own number")
    parser.add_argument("--clip_seconds", type=float, help="instead of the size's own")
    parser.add_argument("--fresh", action="store_true", help="measure again what objectives.json has")
    parser.add_argument("--output", type=Path, default=Path("benchmark/results"), help="folder (%(default)s)")
    arguments = parser.parse_args()
    jobs = plan(arguments)
    path = arguments.output / "objectives.json"
    results = {} if arguments.fresh else read_results(path)
    for job in jobs:
        key = f"{job.objective} {job.size} {job.device}"
        if results.get(key, {}).get("hash") == job.hash():
            print(f"# {key}: measured before", flush=True)
            continue
        print(f"# {key} ...", flush=True)
        results[key] = {"hash": job.hash(), **asdict(job), **in_own_process(job)}
        write_json(path, results)  # after each: a stopped run goes on where it was
    table = as_markdown([results[f"{job.objective} {job.size} {job.device}"] for job in jobs])
    with atomic_write(arguments.output / "objectives.md") as stream:
        stream.write(table)
    print(table, end="")


def untaught() -> list[str]:
    """The objectives that need no trained model; `ssl_time_training` times the others, with their teacher."""
    return [name for name in objective_names() if not issubclass(objective_class(name).Config, TaughtConfig)]


def default_threads() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plan(arguments: argparse.Namespace) -> list[Job]:
    """The measurements that are asked for and have a config.

    Raises:
        UserError: an unknown objective or size, no GPU, or nothing to measure.
    """
    names, sizes = arguments.objectives.split(), arguments.sizes.split()
    for option, given, known in (("objectives", names, untaught()), ("sizes", sizes, SIZES)):
        for word in given:
            if word not in known:
                raise UserError(f"--{option}: there is no '{word}'; expected some of {', '.join(known)}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError(f"--device cuda: PyTorch {torch.__version__} sees no GPU")
    jobs = []
    for size in sizes:
        clips, clip_seconds = AUDIO[size, arguments.device]
        audio = (arguments.clips or clips, arguments.clip_seconds or clip_seconds)
        jobs += [Job(name, size, arguments.device, arguments.seconds, arguments.num_threads, *audio) for name in names]
    missing = [job.path.name for job in jobs if not job.path.is_file()]
    if missing:
        print(f"# without a config: {', '.join(missing)}", flush=True)
    jobs = [job for job in jobs if job.path.is_file()]
    if not jobs:
        raise UserError("nothing to measure: none of the objectives has a config of these sizes")
    return jobs


def read_results(path: Path) -> dict[str, Any]:
    """What was measured before."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def in_own_process(job: Job) -> dict[str, Any]:
    """Peak memory is that of this measurement alone, and running out of it ends no other."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, job).result()
        except BrokenProcessPool:
            return {"failed": "killed: out of memory?"}
        except (torch.OutOfMemoryError, MemoryError):
            return {"failed": "out of memory"}


def measure(job: Job) -> dict[str, Any]:
    """Train on noise for a while; the figures of one row."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(0)
    device = torch.device(job.device)
    before = memory_bytes(device)
    config = job.config()
    model = build(config).to(device).train()
    updater = Updater(model, config, Ranks(0, 0, 1, 1, device), max_update=config.max_update or 1000)
    batches = [noise_batch(model, job, number) for number in range(NUM_BATCHES)]
    times: list[float] = []
    update = 0
    while len(times) < MIN_UPDATES + 1 or sum(times[1:]) < job.seconds:
        started = time.perf_counter()
        update += 1
        batch = prepare(model, batches[update % NUM_BATCHES]._replace(number=update), device)
        launched = updater.launch([batch], update)
        updater.finish(update, is_finite=not launched.is_nonfinite.item())  # reading waits for the device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times[1:])  # the first one allocates, and chooses algorithms
    return {
        "parameters": count_parameters(model),
        "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "update_ms": 1000 * seconds,
        "audio_per_second": job.clips * job.clip_seconds / seconds,
        "peak_bytes": peak_bytes(device) - before,
        "updates": len(times) - 1,
        "dtype": config.dtype if job.device == "cuda" else "fp32",
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {job.threads} threads",
    }


def noise_batch(model: SSLModel, job: Job, number: int) -> Loaded:
    """What a loader process makes of noise: unpadded clips, labels, draws."""
    generator = torch.Generator().manual_seed(number)
    geometry = model.frontend.geometry
    num_samples = round(job.clip_seconds * geometry.sample_rate)
    wavs = 0.1 * torch.randn(job.clips, num_samples, generator=generator)
    lengths = torch.full((job.clips,), num_samples)
    shape = (job.clips, geometry.output_lengths(num_samples))
    labels = torch.randint(NUM_CLASSES[job.size], shape, generator=generator)
    names = tuple(f"utterance{row}" for row in range(job.clips))
    draws = {name: objective.draw(lengths, names, generator) for name, objective in model.objectives.items()}
    mixed = torch.arange(job.clips) % 5 == 0  # as WavLM's loader would: one clip of five
    return Loaded(Batch(wavs, lengths, labels, names, draws, mixed=mixed), number, wavs.numel())


def memory_bytes(device: torch.device) -> int:
    """In use now: of the device, or by this process."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _status("VmRSS")


def peak_bytes(device: torch.device) -> int:
    """The most that was in use: of the device, or by this process."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _status("VmHWM")


def _status(name: str) -> int:
    """A figure of this process; elsewhere than on Linux, its peak (which a parent process may have left larger)."""
    path = Path("/proc/self/status")
    if not path.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """One line per objective and size."""
    first = next((row for row in rows if "failed" not in row), rows[0])
    machine = f"{first.get('device_name', first['device'])}, {first.get('dtype', '')}, PyTorch {torch.__version__}"
    lines = [
        f"Forward, backward and step on noise: {machine}; median over {first['seconds']:g} s of updates. Peak memory: "
        "weights, gradients, optimizer and activations; Python and PyTorch themselves are not counted.",
        "",
        "| objective | size | parameters | trained | one update | s of audio per s | ms per update | peak memory |",
        "|---|---|--:|--:|---|--:|--:|--:|",
    ]
    for row in rows:
        head = f"| {row['objective']} | {row['size']} |"
        if "failed" in row:
            lines.append(f"{head} {row['failed']} | | | | | |")
            continue
        lines.append(
            f"{head} {row['parameters'] / 1e6:.1f} M | {row['trained'] / 1e6:.1f} M | "
            f"{row['clips']} x {row['clip_seconds']:g} s | {row['audio_per_second']:,.3g} | {row['update_ms']:,.0f} | "
            f"{row['peak_bytes'] / 1e9:.2f} GB |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
