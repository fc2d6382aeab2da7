"""Official items and the features of one model in, ABX figures as papers report them out: no recipe, no baselines."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from espnet2.data.audio.read import read_audio
from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.data_prep.scan import scan_audio
from espnet2.evaluate.abx.choice import AbxOptions, choose_cells
from espnet2.evaluate.abx.clock import CLOCKS
from espnet2.evaluate.abx.item_file import BEYOND_SECONDS, ItemFile, Recording
from espnet2.evaluate.abx.row import AbxRow, AbxRowJson
from espnet2.evaluate.abx.rows import Materials, angular_rows
from espnet2.evaluate.abx.rule import Rule
from espnet2.evaluate.part import Report
from espnet2.evaluate.systems import System, open_system
from espnet2.units.features import FeatureExtractor
from espnet2.utils.errors import UserError
from espnet2.utils.show import table_row

AUDIO = (".flac", ".wav")
ARRAYS = (".pt", ".npy", ".txt")  # Libri-light's, ZeroSpeech 2021's
WAVS_AT_ONCE = 16


class AloneJson(TypedDict):
    """What `ssl_abx` writes."""

    rows: list[AbxRowJson]
    notes: list[str]


@dataclass(frozen=True)
class Features:
    """The frames of one layer, file by file."""

    title: str
    layer: int | None
    frames: Mapping[str, Tensor]  # file -> (frames, dim) float32
    frame_rate: float
    seconds: Mapping[str, float]  # of the audio of each


def score_features(
    features: Features, files: Sequence[ItemFile], options: AbxOptions, device: str, where: str
) -> tuple[list[AbxRow], list[str]]:
    """The angular ABX of each file and condition, within speakers and across them.

    Args:
        where: the features come from, for messages.

    Raises:
        UserError: the features are of another corpus, or not finite.
    """
    clock = CLOCKS[options.clock_name]
    number_of = {name: number for number, name in enumerate(features.frames)}
    counts = np.array([len(frames) for frames in features.frames.values()])
    whole = torch.cat(list(features.frames.values())).to(device)
    example = next(iter(features.frames))
    rows: list[AbxRow] = []
    notes: list[str] = []

    def recording(name: str) -> Recording | None:
        if name not in number_of:
            return None
        return Recording(number_of[name], int(counts[number_of[name]]), features.seconds[name])

    for file in files:
        recordings, more = file.match(recording, where, example)
        notes += more
        for condition in file.chosen(options.conditions, "--conditions"):
            items = file.items(
                recordings, condition, clock, frame_rate=features.frame_rate, max_group=options.max_group or None
            )
            if items.dropped.get("frame"):
                notes.append(
                    f"{file.name}, {condition.name}: {items.dropped['frame']:,} items are left out, for they have no "
                    "frame: they are shorter than the step of the frames, or behind the last one"
                )
            rule = Rule.of(file.name, condition, clock)
            compared, more = choose_cells(options, rule, items, file.name, items.speakers)
            notes += more
            materials = Materials.of(items, counts, compared.cells, rule)
            rows += [
                AbxRow("model", features.title, features.layer, row)
                for row in angular_rows(materials, whole, features.title)
            ]
    return rows, notes


def features_of_folder(folder: Path, files: Sequence[ItemFile], frame_rate: float) -> Features:
    """Arrays that another program wrote: one file for each recording, (frames, dim).

    Raises:
        UserError: no array of any recording, or one that is none.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of features (--features)")
    known = _by_stem((path for path in sorted(folder.rglob("*")) if path.suffix in ARRAYS), files)
    names = [name for name in _names(files) if name.rsplit("/", 1)[-1] in known]
    if not names:
        raise UserError(
            f"{folder}: no features of the files of {files[0].path}, such as {next(iter(files[0].rows))}"
            f"{' or '.join(ARRAYS)}: are they of another corpus?"
        )
    frames = {name: _read_array(known[name.rsplit("/", 1)[-1]]) for name in names}
    if len({array.size(1) for array in frames.values()}) > 1:
        raise UserError(f"{folder}: not all arrays have the same number of columns (values of a frame)")
    seconds = {name: len(array) / frame_rate + BEYOND_SECONDS for name, array in frames.items()}
    return Features(folder.name, None, frames, frame_rate, seconds)


def _by_stem(paths: Iterable[Path], files: Sequence[ItemFile]) -> dict[str, Path]:
    """Name of a file without its ending -> where it lies.

    Raises:
        UserError: two files have the name of one recording of the items.
    """
    needed = {name.rsplit("/", 1)[-1] for name in _names(files)}
    known: dict[str, Path] = {}
    for path in paths:
        if path.stem in needed and path.stem in known:
            raise UserError(
                f"{path} and {known[path.stem]} have the name of one recording of {files[0].path}: name the folder of "
                "one of them"
            )
        known[path.stem] = path
    return known


def _read_array(path: Path) -> Tensor:
    try:
        if path.suffix == ".pt":
            array = torch.load(path, map_location="cpu", weights_only=True)
        elif path.suffix == ".npy":
            array = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            array = torch.from_numpy(np.loadtxt(path, ndmin=2))
        frames: Tensor = array.float()
    except Exception as error:  # whatever these readers say about a file that is none
        raise UserError(f"{path}: no array of numbers ({type(error).__name__}: {error})") from None
    if frames.dim() != 2 or len(frames) == 0:
        raise UserError(f"{path}: expected (frames, values) numbers, found the shape {tuple(frames.shape)}")
    return frames


def features_of_model(
    system: System, audio: Path, files: Sequence[ItemFile], layers: Sequence[int] | None, device: str, report: Report
) -> Iterator[Features]:
    """The layers of a model on the audio of the recordings, wherever below a folder it lies.

    Raises:
        UserError: no audio of any recording, or it has another rate than the model.
    """
    if not audio.is_dir():
        raise UserError(f"{audio}: no such folder of audio (--audio)")
    known = _by_stem((audio / name for name in scan_audio(audio, AUDIO)), files)
    names = [name for name in _names(files) if name.rsplit("/", 1)[-1] in known]
    if not names:
        raise UserError(
            f"{audio}: no audio of the files of {files[0].path}, such as {next(iter(files[0].rows))}"
            f"{' or '.join(AUDIO)}: is it of another corpus?"
        )
    paths = [str(known[name.rsplit("/", 1)[-1]]) for name in names]
    extractor = open_system(system, read_audio(paths[0], num_samples=1)[1], device, layers)
    rate = extractor.geometry.frame_rate
    arrays: dict[int, dict[str, Tensor]] = {layer: {} for layer in extractor.layers}
    seconds: dict[str, float] = {}
    for first in range(0, len(names), WAVS_AT_ONCE):
        part = slice(first, first + WAVS_AT_ONCE)
        wavs = [_read_wav(path, extractor) for path in paths[part]]
        for name, wav, extracted in zip(names[part], wavs, extractor.extract(wavs), strict=True):
            seconds[name] = len(wav) / extractor.geometry.sample_rate
            for layer, frames in zip(extractor.layers, extracted, strict=True):
                arrays[layer][name] = frames.cpu()
        if first % (20 * WAVS_AT_ONCE) == 0:
            report(f"abx: {system.title}: {min(first + WAVS_AT_ONCE, len(names)):,} of {len(names):,} files encoded")
    for layer, frames in arrays.items():
        yield Features(system.title, layer or None, frames, rate, seconds)


def _read_wav(path: str, extractor: FeatureExtractor) -> Tensor:
    samples, sample_rate = read_audio(path)
    if sample_rate != extractor.geometry.sample_rate:
        raise UserError(
            f"{path}: {sample_rate} Hz, the first file has {extractor.geometry.sample_rate} Hz; convert the audio"
        )
    if extractor.normalize:
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + VARIANCE_FLOOR)
    return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))


def _names(files: Sequence[ItemFile]) -> list[str]:
    return list(dict.fromkeys(name for file in files for name in file.rows))


def score_all(
    layers: Iterator[Features],
    files: Sequence[ItemFile],
    options: AbxOptions,
    device: str,
    where: str,
    report: Report,
) -> AloneJson:
    """All layers, one after the other."""
    rows: list[AbxRow] = []
    notes: dict[str, None] = {}
    for features in layers:
        more, said = score_features(features, files, options, device, where)
        rows += more
        notes |= dict.fromkeys(said)
        for row in more:
            layer = f", layer {row.layer}" if row.layer else ""
            compared = row.compared
            report(
                f"abx: {row.title}{layer}: {compared.rule.condition.name}, {compared.mode}: {compared.error_rate:.4%}"
            )
    rules = dict.fromkeys(row.compared.rule.describe() for row in rows)
    return {"rows": [row.as_json() for row in rows], "notes": [*notes, *rules, options.describe()]}


def markdown(result: AloneJson) -> str:
    """A line for each figure, in percent, and below it what it depends on."""
    lines = ["| features | layer | items | condition | clock | speakers | ABX error, % | triples |"]
    lines.append("|---|--:|---|---|---|---|--:|--:|")
    for row in map(AbxRow.read, result["rows"]):
        compared, rule = row.compared, row.compared.rule
        cells = [row.title, row.layer or "-", rule.source, rule.condition.name, rule.clock, compared.mode]
        cells += [f"{100 * compared.error_rate:.2f}", f"{compared.num_triples:,}"]
        lines.append(table_row(cells))
    return "\n".join([*lines, "", *(f"* {note}." for note in result["notes"])]) + "\n"
