"""A model and a Kaldi data folder in, features or units of every utterance on disk out: one array job of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from espnet2.ssl.data.format_audio import UtteranceProgress
from espnet2.ssl.data.format_plan import job_range
from espnet2.ssl.units.card import load_kmeans
from espnet2.ssl.units.carried import carried_kmeans, require_own_kmeans
from espnet2.ssl.units.dump_files import TABLES, UNITS, DumpFiles, merge_tables
from espnet2.ssl.units.features import BATCH_SECONDS, CHUNK_SECONDS, CONTEXT_SECONDS, WINDOW_BATCHES, LayerFeatures
from espnet2.ssl.units.kaldi_audio import KaldiAudio, Loaded, read_ahead, windows
from espnet2.ssl.units.kmeans import assign
from espnet2.ssl.units.sampling import fingerprint
from espnet2.tasks.ssl import LoadedModel, load_model
from espnet2.utils.errors import UserError

CODES = "codes"  # units of the method's own codebooks instead of a k-means


@dataclass(frozen=True)
class DumpRequest:
    """What to compute of which audio, and where to put it."""

    model: str
    data_dir: Path
    output_dir: Path
    kind: str = "ark"  # one of dump_files.KINDS
    layers: str = ""  # "6", "3 6 9" or "all"; empty: the last
    kmeans: str = ""  # folder, "codes", or empty: the one that the model carries
    checkpoint: str = "latest"
    device: str = "cpu"
    channel: int | None = None  # of multi-channel audio, 0-based
    job: int = 1
    num_jobs: int = 1
    batch_seconds: float = BATCH_SECONDS
    chunk_seconds: float = CHUNK_SECONDS
    context_seconds: float = CONTEXT_SECONDS


class CodeUnits(LayerFeatures):
    """The method's own units as features of one value, exact up to 16 million codes."""

    def __init__(self, model, numbers, *arguments, **options) -> None:
        super().__init__(model, (), *arguments, **options)
        self.numbers, self.num_layers, self.dim = tuple(numbers), len(numbers), 1

    def _compute(self, wavs: Tensor, lengths: Tensor) -> list[Tensor]:
        """(batch, samples), (batch,) samples -> (batch, frames, 1) of each codebook."""
        found = self.model.first.codes(wavs, lengths).codes
        return [found[number][..., None].float() for number in self.numbers]


class KMeansUnits:
    """Features of one layer to the numbers of their nearest centroids, as features of one value."""

    def __init__(self, centroids: Tensor, device: torch.device) -> None:
        self.centroids = centroids.to(device)

    def __call__(self, features: Tensor) -> Tensor:
        """(1, frames, dim) -> (1, frames, 1)."""
        return assign(features[0], self.centroids)[None, :, None]


@dataclass(frozen=True)
class _Work:
    """The opened request."""

    extractor: LayerFeatures
    convert: Callable[[Tensor], Tensor]
    dim: int  # of what is written
    folders: tuple[Path, ...]  # one for each layer
    marks: tuple[str, ...]  # fingerprints of all jobs


def dump(request: DumpRequest, report: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Do one array job; a finished one is kept, a stopped one goes on.

    Returns:
        The tables of the whole set, written by the job that finishes last; [] before.

    Raises:
        UserError: no such model, layer, units or data; a k-means of another model; no audio could be read at all.
    """
    if not 1 <= request.job <= request.num_jobs:
        raise UserError(f"--job {request.job} --num_jobs {request.num_jobs}: jobs are counted from 1")
    if request.data_dir.resolve() == request.output_dir.resolve():
        raise UserError(f"{request.output_dir}: the data folder itself; choose another one for the features")
    loaded = load_model(request.model, device=_device(request), tag=request.checkpoint)
    frontend = loaded.model.frontend
    request.output_dir.mkdir(parents=True, exist_ok=True)
    audio = KaldiAudio(
        request.data_dir, frontend.geometry.sample_rate, request.output_dir, channel=request.channel,
        normalize=frontend.normalize == "utterance",
    )  # fmt: skip
    work = _open(request, loaded, audio)
    files = DumpFiles(work.folders, request.kind, request.job, work.marks[request.job - 1])
    if files.is_done:
        report(f"job {request.job} of {request.num_jobs}: finished before, kept")
        return merge_tables(files, work.marks)
    first, last = job_range(audio.num_utterances, 1, request.job, request.num_jobs)
    with files:
        done = len(files.entries)
        if done:
            report(f"going on behind {done:,} utterances that a stopped job wrote")
        _run(work, audio, files, range(first + done, last), report)
        rejected = [entry for entry in files.entries if "rejected" in entry]
        if rejected and len(rejected) == len(files.entries):
            files.journal_path.unlink()
            raise UserError(
                f"{request.data_dir}: no utterance could be read; {rejected[0]['utt']}: {rejected[0]['rejected']}"
            )
    files.finish()
    for entry in rejected[:5]:
        report(f"left out: {entry['utt']}: {entry['rejected']}")
    merged = merge_tables(files, work.marks)
    where = f"{work.folders[0]}/{TABLES[request.kind]}" if merged else "the other jobs are not done yet"
    report(f"{len(files.entries) - len(rejected):,} utterances written, {len(rejected):,} left out; {where}")
    return merged


def _device(request: DumpRequest) -> str:
    """Jobs on one machine take its GPUs in turn; on a queue each sees only its own."""
    if request.device != "cuda":
        return request.device
    if not torch.cuda.is_available():
        raise UserError(f"--device cuda: PyTorch {torch.__version__} sees no GPU; use --device cpu")
    return f"cuda:{(request.job - 1) % torch.cuda.device_count()}"


def _open(request: DumpRequest, loaded: LoadedModel, audio: KaldiAudio) -> _Work:
    """Find out what is to be computed."""
    model, convert, marked = loaded.model, None, ""
    options = {
        "batch_seconds": request.batch_seconds,
        "chunk_seconds": request.chunk_seconds,
        "context_seconds": request.context_seconds,
    }
    common = (audio.options.sample_rate, _device(request), request.model)
    if request.kind != UNITS:
        layers = _layers(request.layers, model.encoder.num_layers)
        extractor = LayerFeatures(model, layers, *common, **options)
        names = [f"layer_{layer}" for layer in layers]
    elif request.kmeans == CODES or (not request.kmeans and not _carried(request) and hasattr(model.first, "codes")):
        if not hasattr(model.first, "codes"):
            raise UserError(f"--kmeans codes: {request.model} has no codebooks of its own; give a k-means folder")
        extractor = CodeUnits(model, model.first.layers, *common, **options)
        names = [f"codes_{number}" for number in extractor.numbers]
    else:
        kmeans = _find_kmeans(request)
        require_own_kmeans(kmeans, request.model, tag=request.checkpoint)
        centroids, card = load_kmeans(kmeans)
        extractor = LayerFeatures(model, [card.layer], *common, **options)
        convert, marked, names = KMeansUnits(centroids, extractor.device), card.hash, ["units"]
    folders = tuple(request.output_dir / name for name in names) if len(names) > 1 else (request.output_dir,)
    settings = [loaded.hash, names, request.kind, marked, audio.hash, request.channel, *list(options.values())[1:]]
    marks = tuple(fingerprint(*settings, job, request.num_jobs) for job in range(1, request.num_jobs + 1))
    return _Work(extractor, convert or (lambda features: features), 1 if convert else extractor.dim, folders, marks)


def _layers(text: str, num_layers: int) -> list[int]:
    """Numbers of layers.

    >>> _layers("all", 3), _layers("", 3), _layers("1 3", 3)
    ([1, 2, 3], [3], [1, 3])
    """
    if text == "all":
        return list(range(1, num_layers + 1))
    try:
        layers = [int(word) for word in text.split()]
    except ValueError:
        raise UserError(f'--layers \'{text}\': expected numbers such as "6" or "3 6 9", or all') from None
    return layers or [num_layers]


def _carried(request: DumpRequest) -> dict[str, Path]:
    return carried_kmeans(request.model, tag=request.checkpoint)


def _find_kmeans(request: DumpRequest) -> Path:
    if request.kmeans:
        return Path(request.kmeans)
    carried = _carried(request)
    if len(carried) != 1:
        found = f"carries {', '.join(carried)}: say which" if carried else "carries no units of its own"
        raise UserError(f"{request.model} {found}; --kmeans <folder learned on one of its layers>")
    return next(iter(carried.values()))


def _run(work: _Work, audio: KaldiAudio, files: DumpFiles, rows: range, report: Callable[[str], None]) -> None:
    """Decode ahead, compute batched by length, write in order."""
    began, samples = time.monotonic(), 0
    progress = UtteranceProgress(len(rows), audio.options.sample_rate)
    limit = WINDOW_BATCHES * work.extractor.batch_samples
    items = audio.load(rows.start, rows.stop) if len(rows) else iter(())
    count = 0
    for window in read_ahead(windows(items, limit)):
        for item, parts in zip(window, _features(work.extractor, window), strict=True):
            count += 1
            if item.wav is None:
                files.reject(item.utt_id, item.rejected)
            else:
                numpy = (work.convert(part).cpu().numpy() for part in parts)
                files.write(item.utt_id, item.number, numpy, work.dim)
                samples += len(item.wav)
            progress.show(count, samples)
    seconds, hours = time.monotonic() - began, samples / audio.options.sample_rate / 3600
    speed = hours * 3600 / max(seconds, 1e-9)
    report(f"{count:,} utterances, {hours:.3f} h of audio in {seconds:.1f} s: {speed:,.0f} times real time")


def _features(extractor: LayerFeatures, window: list[Loaded]) -> Iterator[Iterator[Tensor]]:
    """Of each utterance its parts, (layers, frames, dim): one part, but for audio that is cut into chunks."""
    short = [item for item in window if item.wav is not None and not extractor.is_long(len(item.wav))]
    found = dict(zip((item.number for item in short), extractor.extract([item.wav for item in short]), strict=True))
    for item in window:
        if item.wav is None:
            yield iter(())
        elif item.number in found:
            yield iter([found.pop(item.number)])
        else:
            yield extractor.stream(item.wav)
