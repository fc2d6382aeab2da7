"""`max_bins_per_gpu: auto`: a model and its data in, the smallest number of micro-batches that fits into a GPU out.

A forecast from two updates traced on fake tensors says where to begin. Then two updates of a copy of the model are
computed on the device, with the longest utterances, and out of memory is caught: more, smaller micro-batches until it
fits. The training itself is not touched. Ranks try on their own and take what fits all of them.
"""

import gc
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from espnet2.data.cut import CutRule
from espnet2.data.dataset import Loaded
from espnet2.data.sampler import MicroBatch
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.collective import alone
from espnet2.train.checkpoint import CheckpointFolder
from espnet2.train.config import TrainConfig
from espnet2.train.data import StepPlan, TrainingData, divided
from espnet2.train.distributed import Ranks
from espnet2.train.order import quadratic_samples
from espnet2.train.peak_memory import Memory, memory_line, traced_peak
from espnet2.train.traced_update import TracedUpdate, copy_model
from espnet2.train.updater import Updater, prepare
from espnet2.utils.errors import UserError
from espnet2.utils.show import format_bytes

TRACED_CLIPS = (2, 6)
TRIED_UPDATES = 2  # the second one finds gradients, moments and cached blocks of the first
TRIED_SHARE = 0.92  # of the memory that a trial may take: lengths vary, and blocks of memory then fit worse
ADAM_BYTES = 16  # of a trained parameter: weight, gradient and two moments
OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED")
GROWTH = 1.15  # of the number of parts after a trial that ran out of memory


class Fitted(NamedTuple):
    """How the batch of an update is divided, and why: a line for the log."""

    steps: StepPlan
    line: str


def saved_steps(config: TrainConfig, folder: CheckpointFolder, world_size: int) -> Fitted | None:
    """The division of the run whose checkpoints are there; None where there are none. It stays for the whole run.

    Raises:
        UserError: so many processes cannot divide the batch so.
    """
    saved = folder.saved_division()
    if saved is None:
        return None
    samples, micro_batches = saved["shard_samples"], saved["micro_batches"]
    parts, rest = divmod(micro_batches, config.accum_grad * world_size)
    steps = divided(config, world_size, max(1, parts))
    if rest or (steps.shard_samples, steps.micro_batches) != (samples, micro_batches):
        raise UserError(
            f"max_bins_per_gpu: auto: the checkpoints in {folder.directory} divide an update into {micro_batches} "
            f"micro-batches of {samples} samples; {world_size} processes, batch_bins {config.batch_bins} and "
            f"accum_grad {config.accum_grad} do not; go on with what the run began with, or give another --output_dir"
        )
    return Fitted(steps, f"max_bins_per_gpu: auto: {samples} samples, as in the checkpoints of this run")


def fit_memory(model: SSLModel, config: TrainConfig, data: TrainingData, ranks: Ranks) -> Fitted:
    """Find the division on all ranks alike.

    Args:
        model: as it will be trained, on any device; it is copied.
        data: made with any division.

    Raises:
        UserError: on all ranks, where not even one utterance fits.
    """
    memory = device_bytes(ranks.device)
    outcome, failure = (1, ""), None
    if memory is not None:
        try:
            with alone():  # ranks make as many attempts as each needs
                outcome = _parts(model, config, data, ranks, memory)
        except UserError as error:
            failure = str(error)
    gathered = ranks.gather((outcome, failure))
    if failures := [text for _, text in gathered if text]:
        raise UserError(failures[0])
    parts, why = max((part for part, _ in gathered), key=lambda part: part[0])
    steps = divided(config, ranks.world_size, parts)
    seconds = steps.shard_samples / data.train.index.sample_rate
    if memory is None:
        return Fitted(steps, "max_bins_per_gpu: auto: computed on a CPU, whose memory is not measured: no bound")
    return Fitted(steps, f"max_bins_per_gpu: auto: {steps.shard_samples} samples ({seconds:.1f} s); {why}")


def device_bytes(device: torch.device) -> int | None:
    """Memory of a GPU that nobody else holds; None for a CPU."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device)


def _parts(model: SSLModel, config: TrainConfig, data: TrainingData, ranks: Ranks, memory: int) -> tuple[int, str]:
    """In how many micro-batches this rank computes its part of a batch, and why."""
    world_size = ranks.world_size
    line = forecast(model, config, data)
    if config.fsdp and world_size > 1:  # FSDP2 leaves each rank its share of what is there for every parameter
        trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
        line = line._replace(fixed=line.fixed - ADAM_BYTES * trained * (1 - 1 / world_size))
    clips_of = _clips_of(config, data, world_size)
    parts = 1
    while clips_of(parts) > max(1, line.fitting_clips(memory)):
        parts += 1
    seconds = clips_of(parts) * line.clip_seconds
    text = f"the forecast is {format_bytes(round(line.peak(seconds)))} of {format_bytes(memory)}"
    if config.fsdp and world_size > 1:
        return parts, f"{text}, not tried: with fsdp a rank out of memory would keep the others waiting"
    tried = 0
    while True:
        tried += 1
        peak = _peak_of_trial(model, config, ranks.device, longest_batch(data, clips_of(parts)))
        if peak is not None and peak <= TRIED_SHARE * memory:
            return parts, f"{text}, number {tried} was tried and takes {format_bytes(round(peak))}"
        if clips_of(parts) == 1:
            raise UserError(
                f"max_bins_per_gpu: auto: one utterance of {line.clip_seconds:.1f} s does not fit into the "
                f"{format_bytes(memory)} that are free on {ranks.device}; lower max_seconds, set encoder_conf "
                "recompute_blocks: true or fsdp: true, or free the GPU"
            )
        before = clips_of(parts)
        parts = max(parts + 1, int(parts * GROWTH))
        while clips_of(parts) == before:  # else the same trial again
            parts += 1


def _clips_of(config: TrainConfig, data: TrainingData, world_size: int) -> Callable[[int], int]:
    """Parts of a rank's batch -> how many of the longest utterances a micro-batch holds."""
    rate, sampler = data.train.index.sample_rate, data.sampler
    rule = CutRule(0, 1, sampler.rule.shortest, quadratic_samples(config, rate))
    cost = int(rule.cost(float(sampler.lengths[sampler.rows].max())))
    return lambda parts: max(1, divided(config, world_size, parts).shard_samples // cost)


def forecast(model: SSLModel, config: TrainConfig, data: TrainingData) -> Memory:
    """Memory of an update as traced: what is fixed, and what each of the longest utterances takes."""
    peaks = {}
    for num_clips in TRACED_CLIPS:
        loaded = longest_batch(data, num_clips)
        counts = prepare(model, loaded, torch.device("cpu")).counts
        meta = copy_model(model, "meta")
        peaks[num_clips] = traced_peak(partial(TracedUpdate, meta, config, loaded.batch, counts))
    return memory_line(peaks, loaded.batch.wavs.size(1) / data.train.index.sample_rate)


def _peak_of_trial(model: SSLModel, config: TrainConfig, device: torch.device, loaded: Loaded) -> float | None:
    """Bytes; None where the device has run out of memory. Nothing of the trial is left."""
    peak = None
    try:
        peak = attempt(model, config, device, loaded)
    except RuntimeError as error:  # torch.OutOfMemoryError is one; so is what cuBLAS and cuDNN say
        if not any(text in str(error) for text in OUT_OF_MEMORY):
            raise
    gc.collect()  # after the handler: the error's traceback holds tensors
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return peak


def longest_batch(data: TrainingData, num_clips: int) -> Loaded:
    """A real micro-batch of the longest utterances; the shortest one beside them makes it padded, where batches are."""
    sampler = data.sampler
    rows = sampler.rows[np.argsort(sampler.lengths[sampler.rows], kind="stable")]
    chosen = np.resize(rows[::-1][:num_clips], num_clips).astype(np.int64)
    longest = int(sampler.lengths[chosen].max())
    if sampler.rule.shortest:
        chosen = np.resize(rows[sampler.lengths[rows] >= longest], num_clips).astype(np.int64)
    elif num_clips > 1:
        chosen[0] = rows[0]
    return data.train[MicroBatch(chosen, longest, 0, 0)]


def attempt(model: SSLModel, config: TrainConfig, device: torch.device, loaded: Loaded) -> float:
    """Compute updates of a copy of the model: the peak in bytes.

    Raises:
        torch.OutOfMemoryError: they do not fit.
    """
    generators = [device] if device.type == "cuda" else []
    alone = config.model_copy(update={"compile": False, "fsdp": False})
    with torch.random.fork_rng(devices=generators):
        copied = copy_model(model, device).train()
        updater = Updater(copied, alone, Ranks(0, 0, 1, 1, device), max_update=config.max_update or 1000)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        for update in range(1, TRIED_UPDATES + 1):
            updater.launch([prepare(copied, loaded, device)], update)
            updater.precision.scaler.step(updater.optimizer)  # no `finish`: teachers that move do it over all ranks
            updater.precision.scaler.update()
            updater.optimizer.zero_grad(set_to_none=True)
    return float(torch.cuda.max_memory_reserved(device)) if device.type == "cuda" else 0.0
