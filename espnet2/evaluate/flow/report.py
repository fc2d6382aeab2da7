"""The run of `ssl_sample_flow`: figures, audio, samples.json and a table of how good the samples are."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from torch import Tensor

from espnet2.data.dataset import seed_for
from espnet2.data.index import AudioIndex
from espnet2.data.waveform import load_wav
from espnet2.evaluate.flow.figure import draw_filled
from espnet2.evaluate.flow.sampling import Filled, FlowSampler, Span, SpanFigures, choose_span
from espnet2.evaluate.flow.vocoder import GriffinLimVocoder
from espnet2.models.find import ModelFiles
from espnet2.models.load import load_model
from espnet2.utils.device import require_device
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, write_json

HEALTHY_SHIFT = 0.05  # of mean and deviation of the samples' log-mel, as a share of the data's
JUDGED_SECONDS = 3.0  # of hidden mel in all utterances; chance rules in less
HEALTHY_SPREAD = 0.05  # over seeds, in units of the corpus; a model that draws the mean has 0
PCM16_PEAK = 0.999  # full scale of 16-bit audio


@dataclass(frozen=True)
class SampleRequest:
    """The options of `ssl_sample_flow`."""

    model: ModelFiles
    dump_set: str
    utterances: tuple[str, ...]  # none: `num_utterances` drawn ones
    num_utterances: int
    output_dir: Path
    span_start: float | None  # seconds; None: drawn
    span_seconds: float
    num_steps: int
    guidance: float
    num_seeds: int
    seed: int
    audio: bool
    griffin_lim_iterations: int
    device: str

    def __post_init__(self) -> None:
        for name in ("num_utterances", "num_steps", "num_seeds", "griffin_lim_iterations"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} is {getattr(self, name)}; expected at least 1")
        if self.guidance < 0 or self.seed < 0:
            raise UserError(f"--guidance {self.guidance:g}, --seed {self.seed}: expected none below 0")


class _Task(NamedTuple):
    """One utterance to sample."""

    utt_id: str
    row: int
    span: Span


def sample_utterances(request: SampleRequest, *, report: Callable[[str], None]) -> str:
    """Sample all utterances of a request; everything is checked before the first is written.

    Returns:
        A table for people: mean and deviation of samples and data, errors, spread over seeds.

    Raises:
        UserError: an unknown utterance, a span beyond its audio, or a model that does not sample.
    """
    index = AudioIndex.open(request.dump_set)
    model = load_model(request.model, device=require_device(request.device)).model
    sampler = FlowSampler(model, request.model.name, num_steps=request.num_steps, guidance=request.guidance)
    if sampler.geometry.sample_rate != index.sample_rate:
        raise UserError(
            f"{request.model.name} was trained at {sampler.geometry.sample_rate} Hz, {request.dump_set} has "
            f"{index.sample_rate} Hz; format it with the same --fs (stage 3)"
        )
    vocoder = GriffinLimVocoder(sampler.frontend.mel, request.griffin_lim_iterations) if request.audio else None
    tasks = _tasks(request, index, sampler)
    statistics: dict[str, SpanFigures] = {}
    for number, task in enumerate(tasks, 1):
        started = time.monotonic()
        wav = load_wav(index, task.row, normalize=False)
        filled = sampler.fill(
            task.utt_id, wav.to(request.device), task.span, num_seeds=request.num_seeds, seed=request.seed
        )
        statistics[task.utt_id] = filled.statistics()
        _write_figure(request, sampler, filled, statistics[task.utt_id])
        if vocoder is not None:
            _write_audio(request, vocoder, filled, wav, index.sample_rate)
        report(f"{number}/{len(tasks)} {task.utt_id}: {time.monotonic() - started:.1f} s")
    _write_statistics(request, sampler, tasks, statistics)
    return _table(request, sampler, tasks, statistics)


def _tasks(request: SampleRequest, index: AudioIndex, sampler: FlowSampler) -> list[_Task]:
    """Utterances and spans, in the order asked for."""
    if request.utterances:
        row_of = {utt_id: index.find(utt_id) for utt_id in request.utterances}
        missing = [utt_id for utt_id, row in row_of.items() if row is None]
        if missing:
            raise UserError(f"{request.dump_set}: no utterance {', '.join(missing)}; its first is {index.utt_id(0)}")
        rows = [row for utt_id in request.utterances if (row := row_of[utt_id]) is not None]
    else:
        generator = np.random.default_rng(seed_for(request.seed, len(index)))
        rows = sorted(generator.permutation(len(index))[: request.num_utterances].tolist())
    tasks = []
    for row in rows:
        utt_id = index.utt_id(row)
        span = choose_span(
            utt_id,
            int(index.num_samples[row]),
            sampler.geometry,
            start_seconds=request.span_start,
            seconds=request.span_seconds,
            seed=request.seed,
        )
        tasks.append(_Task(utt_id, row, span))
    return tasks


def _write_figure(request: SampleRequest, sampler: FlowSampler, filled: Filled, figures: SpanFigures) -> None:
    title = (
        f"{filled.utt_id}: {request.span_seconds:g} s hidden; error of a sample {figures.error_db:.1f} dB, "
        f"of the mean of {request.num_seeds} {figures.mean_error_db:.1f} dB, "
        f"of a straight line {figures.line_error_db:.1f} dB"
    )
    with atomic_write(request.output_dir / f"{filled.utt_id}.png", "wb") as stream:
        stream.write(draw_filled(filled, sampler.frontend.mel, title))


def _write_audio(
    request: SampleRequest, vocoder: GriffinLimVocoder, filled: Filled, wav: Tensor, sample_rate: int
) -> None:
    """The recording itself, and through the vocoder: its mel, its mel with silence in the span, each sample."""
    silence = filled.mel.clone()
    silence[filled.span.first : filled.span.stop] = filled.mel.min()
    mels = {"vocoder": filled.mel, "masked": silence}
    mels |= {f"seed{number}": sample for number, sample in enumerate(filled.samples)}
    wavs = {"original": wav} | {name: vocoder(mel, seed=request.seed) for name, mel in mels.items()}
    for name, samples in wavs.items():
        buffer = io.BytesIO()
        samples = samples / max(1.0, float(samples.abs().max()) / PCM16_PEAK)
        soundfile.write(buffer, samples.numpy(), sample_rate, format="WAV", subtype="PCM_16")
        with atomic_write(request.output_dir / f"{filled.utt_id}.{name}.wav", "wb") as stream:
            stream.write(buffer.getvalue())


def _write_statistics(
    request: SampleRequest, sampler: FlowSampler, tasks: Sequence[_Task], statistics: dict[str, SpanFigures]
) -> None:
    rate = sampler.geometry.frame_rate
    told = ("dump_set", "num_steps", "guidance", "num_seeds", "seed")
    options = {"model": request.model.name, "tag": request.model.tag}
    options |= {name: getattr(request, name) for name in told}
    utterances = {
        task.utt_id: {
            "span_start_seconds": task.span.first / rate,
            "span_seconds": (task.span.stop - task.span.first) / rate,
            **asdict(statistics[task.utt_id]),
        }
        for task in tasks
    }
    mean = SpanFigures.mean(list(statistics.values()))
    write_json(
        request.output_dir / "samples.json", {"options": options, "utterances": utterances, "mean": asdict(mean)}
    )


def _table(
    request: SampleRequest, sampler: FlowSampler, tasks: Sequence[_Task], statistics: dict[str, SpanFigures]
) -> str:
    """The figures of every span and their mean, and a verdict."""
    rate = sampler.geometry.frame_rate
    width = max(len(name) for name in ("utterance", *statistics))
    head = "  span (s)     mel mean (data)  mel std (data)  error (dB) of a sample, their mean, a straight line  spread"
    lines = [f"{'utterance':{width}}{head}"]
    rows = [
        (task.utt_id, f"{task.span.first / rate:.2f}-{task.span.stop / rate:.2f}", statistics[task.utt_id])
        for task in tasks
    ]
    mean = SpanFigures.mean(list(statistics.values()))
    for name, span, figures in [*rows, ("mean", "", mean)]:
        lines.append(
            f"{name:{width}}  {span:11}  {figures.sample_mean:6.2f} ({figures.data_mean:6.2f})  "
            f"{figures.sample_std:5.2f} ({figures.data_std:5.2f})   {figures.error_db:19.1f}"
            f"{figures.mean_error_db:12.1f}{figures.line_error_db:17.1f}  {figures.spread:6.3f}"
        )
    hidden = sum(task.span.stop - task.span.first for task in tasks) / rate
    for what, of_samples, of_data in (
        ("mean", mean.sample_mean, mean.data_mean),
        ("std", mean.sample_std, mean.data_std),
    ):
        shift = of_samples / of_data - 1
        verdict = "healthy" if abs(shift) <= HEALTHY_SHIFT else f"more than {100 * HEALTHY_SHIFT:.0f} %, not healthy"
        if hidden < JUDGED_SECONDS:
            verdict = f"not judged, {hidden:.1f} s hidden in all are few (at least {JUDGED_SECONDS:g} s)"
        lines.append(f"mel {what} of the samples: {100 * shift:+.1f} % of the data's: {verdict}")
    if request.num_seeds > 1 and mean.spread < HEALTHY_SPREAD:
        lines.append(f"spread over seeds {mean.spread:.3f}: a collapse, the model draws the mean of what may be")
    return "\n".join(lines) + "\n"
