"""A model and a Kaldi data folder in, features or units of every utterance on disk out: one array job of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from espnet2.data.format.plan import job_range
from espnet2.models.find import ModelFiles, find_model
from espnet2.models.load import LoadedModel, load_model
from espnet2.units.card import load_kmeans, require_card
from espnet2.units.carried import carried_kmeans, require_own_kmeans
from espnet2.units.dump_files import TABLES, UNITS, DumpFiles, merge_tables
from espnet2.units.features import (
    BATCH_SECONDS,
    CHUNK_SECONDS,
    CONTEXT_SECONDS,
    WHOLE_SECONDS,
    WINDOW_BATCHES,
    FeatureExtractor,
    LayerFeatures,
    MfccFeatures,
)
from espnet2.units.frame_transform import FrameStatistics, OpenParts
from espnet2.units.kaldi_audio import KaldiAudio, Loaded, read_ahead, windows
from espnet2.units.kmeans_units import KMeansUnits
from espnet2.units.own_codes import CodeFeatures
from espnet2.units.sampling import fingerprint
from espnet2.units.speaker_table import speakers_mark
from espnet2.units.speakers import gather_speakers_of_folder
from espnet2.units.transform import TransformOptions
from espnet2.units.unit_file import UnitCard
from espnet2.utils.device import FLOAT32, require_device
from espnet2.utils.errors import UserError
from espnet2.utils.progress import UtteranceProgress

CODES = "codes"  # units of the method's own codebooks instead of a k-means


@dataclass(frozen=True)
class DumpRequest:
    """What to compute of which audio, and where to put it."""

    model: ModelFiles | None  # see `model_to_dump`; None: `kmeans` is of MFCC
    data_dir: Path
    output_dir: Path
    kind: str = "ark"  # one of dump_files.KINDS
    layers: str = ""  # "6", "3 6 9" or "all"; empty: the last
    kmeans: str = ""  # folder, "codes", or empty: the one that the model carries
    device: str = "cpu"
    dtype: str = FLOAT32
    channel: int | None = None  # of multi-channel audio, 0-based
    job: int = 1
    num_jobs: int = 1
    batch_seconds: float = BATCH_SECONDS
    whole_seconds: float = WHOLE_SECONDS
    chunk_seconds: float = CHUNK_SECONDS
    context_seconds: float = CONTEXT_SECONDS
    num_clusters: int | None = None  # refuse units of another number


def model_to_dump(name: str, checkpoint: str, *, kind: str, kmeans: str) -> ModelFiles | None:
    """Find the model of a request: the one that is named, or the one that a k-means was learned on.

    Args:
        name: empty where none is named.
        checkpoint, kind, kmeans: of the command line, as in `DumpRequest`.

    Returns:
        None for a k-means of MFCC.

    Raises:
        UserError: there is no such model; or none is named and nothing else says which.
    """
    if not name and (kind != UNITS or kmeans in ("", CODES)):
        raise UserError("--model is required: only the units of a k-means folder can do without")
    name = name or require_card(kmeans).model
    return find_model(name, checkpoint) if name else None


Convert = Callable[[OpenParts, FrameStatistics | None], Iterator[Tensor]]  # of an utterance and its speaker


def as_features(units: KMeansUnits) -> Convert:
    """Parts of an utterance, (layers, frames, dim) each, to its units as features of one value, (1, frames, 1)."""
    return lambda open_parts, speaker: (ids[None, :, None] for ids in units.stream(open_parts, speaker))


@dataclass(frozen=True)
class _Work:
    """The opened request."""

    extractor: FeatureExtractor
    convert: Convert
    dim: int  # of what is written
    folders: tuple[Path, ...]  # one for each layer
    marks: tuple[str, ...]  # fingerprints of all jobs
    units: UnitCard | None = None  # where units are written
    transform: TransformOptions = field(default_factory=TransformOptions)  # of the k-means


def dump(request: DumpRequest, report: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Do one array job; a finished one is kept, a stopped one goes on.

    Returns:
        The tables of the whole set, written by the job that finishes last; [] before. Units have a card beside them.

    Raises:
        UserError: no such model, layer, units or data; a k-means of another model; no audio could be read at all.
    """
    if not 1 <= request.job <= request.num_jobs:
        raise UserError(f"--job {request.job} --num_jobs {request.num_jobs}: jobs are counted from 1")
    if request.data_dir.resolve() == request.output_dir.resolve():
        raise UserError(f"{request.output_dir}: the data folder itself; choose another one for the features")
    loaded = load_model(request.model, device=_device(request)) if request.model else None
    request.output_dir.mkdir(parents=True, exist_ok=True)
    audio = KaldiAudio(
        request.data_dir,
        loaded.model.frontend.geometry.sample_rate if loaded else require_card(request.kmeans).sample_rate,
        request.output_dir,
        channel=request.channel,
        normalize=loaded is not None and loaded.model.frontend.normalize == "utterance",
    )
    work = _open(request, loaded, audio)
    files = DumpFiles(work.folders, request.kind, request.job, work.marks[request.job - 1])
    if files.is_done:
        report(f"job {request.job} of {request.num_jobs}: finished before, kept")
        return _merge(files, work)
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
    merged = _merge(files, work)
    where = f"{work.folders[0]}/{TABLES[request.kind]}" if merged else "the other jobs are not done yet"
    report(f"{len(files.entries) - len(rejected):,} utterances written, {len(rejected):,} left out; {where}")
    return merged


def _merge(files: DumpFiles, work: _Work) -> list[Path]:
    """The tables of the whole set, once all jobs are done, and cards of units beside them."""
    merged = merge_tables(files, work.marks)
    if work.units is not None:
        for table in merged:
            work.units.write(table.parent)
    return merged


def _device(request: DumpRequest) -> str:
    """Jobs on one machine take its GPUs in turn; on a queue each sees only its own."""
    require_device(request.device)
    if request.device != "cuda":
        return request.device
    return f"cuda:{(request.job - 1) % torch.cuda.device_count()}"


class _Seconds(TypedDict):
    """How `LayerFeatures` batches and cuts audio."""

    batch_seconds: float
    whole_seconds: float
    chunk_seconds: float
    context_seconds: float
    dtype: str


def _open(request: DumpRequest, loaded: LoadedModel | None, audio: KaldiAudio) -> _Work:
    """Find out what is to be computed."""
    options = _Seconds(
        batch_seconds=request.batch_seconds,
        whole_seconds=request.whole_seconds,
        chunk_seconds=request.chunk_seconds,
        context_seconds=request.context_seconds,
        dtype=request.dtype,
    )
    name = request.model.name if request.model else ""
    common = (audio.options.sample_rate, _device(request), name)
    convert, units, transform = None, None, TransformOptions()
    extractor: FeatureExtractor
    if request.kind != UNITS:
        assert loaded is not None, "`model_to_dump` finds one for features"
        layers = _layers(request.layers, loaded.model.encoder.num_layers)
        extractor = LayerFeatures(loaded.model, layers, *common, **options)
        names = [f"layer_{layer}" for layer in layers]
    elif _wants_codes(request, loaded):
        assert loaded is not None, "`model_to_dump` finds one for codes"
        extractor = codes = CodeFeatures(loaded.model, *common, **options)
        names = [f"codes_{number}" for number in extractor.layers]
        units = UnitCard(codes.num_codes, extractor.geometry.frame_rate, f"codes of {name}", loaded.hash)
    else:
        kmeans = _find_kmeans(request)
        card = require_own_kmeans(kmeans, request.model) if request.model else require_card(kmeans)
        names, kmeans_layers = ["units"], card.source.layers
        extractor = (
            LayerFeatures(loaded.model, kmeans_layers, *common, **options) if loaded else MfccFeatures(common[0])
        )
        convert = as_features(KMeansUnits(load_kmeans(kmeans), common[1]))
        units, transform = UnitCard(card.num_clusters, card.label_rate, card.describe(), card.hash), card.transform
    if units and request.num_clusters not in (None, units.num_units):
        raise UserError(f"--num_clusters {request.num_clusters}: {units.source} has {units.num_units} units")
    folders = tuple(request.output_dir / name for name in names) if len(names) > 1 else (request.output_dir,)
    marked = units.hash + speakers_mark(request.data_dir, transform) if units and convert else ""
    model_hash = loaded.hash if loaded else ""
    settings = [model_hash, names, request.kind, marked, audio.hash, request.channel, request.whole_seconds]
    settings += [request.chunk_seconds, request.context_seconds, *({request.dtype} - {FLOAT32})]
    marks = tuple(fingerprint(*settings, job, request.num_jobs) for job in range(1, request.num_jobs + 1))
    dim = 1 if convert else extractor.dim
    return _Work(extractor, convert or (lambda open_parts, _: open_parts()), dim, folders, marks, units, transform)


def _wants_codes(request: DumpRequest, loaded: LoadedModel | None) -> bool:
    """Whether the units are those of the method itself: asked for, or the only ones it has."""
    if request.kmeans or loaded is None:
        return request.kmeans == CODES
    return bool(loaded.model.first.code_numbers) and not carried_kmeans(loaded.files)


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


def _find_kmeans(request: DumpRequest) -> Path:
    if request.kmeans:
        return Path(request.kmeans)
    assert request.model is not None, "without a model, a k-means is named"
    carried = carried_kmeans(request.model)
    if len(carried) != 1:
        carriage = f"carries {', '.join(carried)}: say which" if carried else "carries no units of its own"
        raise UserError(f"{request.model.name} {carriage}; --kmeans <folder learned on one of its layers>")
    return next(iter(carried.values()))


def _run(work: _Work, audio: KaldiAudio, files: DumpFiles, rows: range, report: Callable[[str], None]) -> None:
    """Decode ahead, compute batched by length, write in order."""
    began, samples = time.monotonic(), 0
    progress = UtteranceProgress(len(rows), audio.options.sample_rate)
    limit = WINDOW_BATCHES * work.extractor.batch_samples
    items = audio.load(rows.start, rows.stop) if len(rows) else iter(())
    count = 0
    speakers = gather_speakers_of_folder(audio, rows, work.extractor, work.transform)
    for window in read_ahead(windows(items, limit)):
        for item, open_parts in zip(window, _features(work.extractor, window), strict=True):
            count += 1
            if item.wav is None:
                files.reject(item.utt_id, item.rejected)
            elif not work.extractor.geometry.output_lengths(len(item.wav)):  # an empty matrix breaks those who read it
                needed = work.extractor.geometry.num_samples(1)
                files.reject(item.utt_id, f"short: {len(item.wav)} samples make no frame; one needs {needed}")
            else:
                speaker = speakers.of(item.utt_id) if speakers else None
                numpy = (part.cpu().numpy() for part in work.convert(open_parts, speaker))
                files.write(item.utt_id, item.number, numpy, work.dim)
                samples += len(item.wav)
            progress.show(count, samples)
    seconds, hours = time.monotonic() - began, samples / audio.options.sample_rate / 3600
    speed = hours * 3600 / max(seconds, 1e-9)
    report(f"{count:,} utterances, {hours:.3f} h of audio in {seconds:.1f} s: {speed:,.0f} times real time")


def _features(extractor: FeatureExtractor, window: list[Loaded]) -> Iterator[OpenParts]:
    """What opens the parts of each utterance, (layers, frames, dim): one, but for audio that is cut into chunks."""
    short = {item.number: item.wav for item in window if item.wav is not None and not extractor.is_long(len(item.wav))}
    features = dict(zip(short, extractor.extract(list(short.values())), strict=True))
    for item in window:
        if item.wav is None:
            yield lambda: iter(())
        elif item.number in features:
            yield partial(_one_part, features.pop(item.number))
        else:
            yield partial(extractor.stream, item.wav)


def _one_part(features: Tensor) -> Iterator[Tensor]:
    yield features
