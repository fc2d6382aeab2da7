"""The examples part of an evaluation: three utterances of the valid set with audio, units and phones."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from markupsafe import Markup

from espnet2.data.audio.read import read_audio
from espnet2.data.index import AudioIndex
from espnet2.evaluate.measure import RowJson
from espnet2.evaluate.part import EvaluationRequest, Part, PartJson, Report
from espnet2.evaluate.report.page import NOT_EVALUATED, Section
from espnet2.evaluate.report.utterance import TrackJson, UtteranceJson, utterance_figure
from espnet2.evaluate.systems import System, open_system
from espnet2.evaluate.units.row import read_units
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import FeatureExtractor, map_features
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.units.quality import WINDOW_SECONDS, Alignments
from espnet2.units.sampling import plan_sample
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_bytes
from espnet2.utils.kaldi_table import read_table

NUM_EXAMPLES = 3
MAXIMUM_SECONDS = 10.0  # of the audio of one example: the page carries it
MINIMUM_SECONDS = 1.0
TRAIN_FRAMES = 20_000  # for units to look at; those that are measured learn from more
FORECAST_SECONDS = 30.0


class ExamplesJson(PartJson):
    """The content of eval/examples.json."""

    rows: list[RowJson]  # none
    utterances: list[UtteranceJson]


class Examples(Part[ExamplesJson]):
    """Something to see and hear; its units are learned like those that are measured, on fewer frames."""

    name = "examples"
    order = 40
    title = "examples"
    summary = "spectrograms and audio of three utterances"

    def settings(self, request: EvaluationRequest) -> Mapping[str, object]:
        """What is shown depends on this."""
        phones = find_phones(request.valid_set, request.alignments)
        return {
            "systems": [[system.kind, system.title, system.hash] for system in _shown(request)],
            "sets": [AudioIndex.open(dump_set).hash for dump_set in request.sets],
            "alignments": phones.hash if phones else None,
            "num_clusters": request.num_clusters,
            "seed": request.seeds[0],
        }

    def forecast_seconds(self, request: EvaluationRequest) -> float:
        return FORECAST_SECONDS

    def run(self, request: EvaluationRequest, report: Report) -> ExamplesJson:
        """The utterances, each with its FLAC under eval/examples.

        Raises:
            UserError: a set without index or audio.
        """
        index = AudioIndex.open(request.valid_set)
        files = find_phones(request.valid_set, request.alignments)
        phones = read_phones(files, request.valid_set).alignments if files else None
        rows = choose_examples(index, _table(request.valid_set, "utt2spk"), set(phones.utterances) if phones else None)
        tracks: dict[int, list[TrackJson]] = {row: [] for row in rows}
        for system in _shown(request):
            for row, track in _units(system, request, index, rows):
                tracks[row].append(track)
        texts, speakers = _table(request.valid_set, "transcript"), _table(request.valid_set, "utt2spk")
        folder = request.exp / "eval" / self.name
        utterances: list[UtteranceJson] = []
        for number, row in enumerate(rows, 1):
            utt_id = index.utt_id(row)
            utterances.append({
                "utt_id": utt_id,
                "speaker": speakers.get(utt_id, ""),
                "transcript": texts.get(utt_id, ""),
                "audio": f"{self.name}/{number}.flac",
                "seconds": _write_audio(index, row, folder / f"{number}.flac"),
                "phones": _phones(phones, utt_id),
                "tracks": tracks[row],
            })  # fmt: skip
            report(f"{self.name}: {utt_id}")
        notes = [] if phones else [f"no phones are shown: {request.valid_set} has no alignments"]
        return {"rows": [], "notes": notes, "utterances": utterances}

    def section(self, result: ExamplesJson | None, folder: Path) -> Section:
        """A figure of each utterance."""
        utterances = result.get("utterances", []) if result else []
        figures = [utterance_figure(utterance, folder) for utterance in utterances]
        lead = "Held-out utterances. Equal colours are equal units; a click into a picture plays from there."
        body = Markup("").join(figures)
        return Section("examples", "See and hear", body, NOT_EVALUATED, lead if figures else "", short="Examples")


def _shown(request: EvaluationRequest) -> list[System]:
    return [system for system in request.systems if system.kind in ("model", "codes")]


def _table(dump_set: Path, name: str) -> dict[str, str]:
    path = Path(dump_set) / name
    return read_table(path) if path.is_file() else {}


def choose_examples(index: AudioIndex, speakers: dict[str, str], aligned: set[str] | None) -> list[int]:
    """Rows of utterances of a convenient length, with phones if any have, of different speakers as far as possible.

    Raises:
        UserError: the set is empty.
    """
    seconds = np.asarray(index.num_samples) / index.sample_rate
    ranked = sorted(
        range(len(index)),
        key=lambda row: (
            not MINIMUM_SECONDS <= seconds[row] <= MAXIMUM_SECONDS,
            aligned is not None and index.utt_id(row) not in aligned,
            hash_bytes(index.utt_id(row)),
        ),
    )
    if not ranked:
        raise UserError(f"{index.directory.parent}: no utterance in it")
    heard: set[str] = set()
    new: list[int] = []
    again: list[int] = []
    for row in ranked:
        speaker = speakers.get(index.utt_id(row), index.utt_id(row))
        (again if speaker in heard else new).append(row)
        heard.add(speaker)
    return (new + again)[:NUM_EXAMPLES]


def _units(
    system: System, request: EvaluationRequest, index: AudioIndex, rows: list[int]
) -> Iterator[tuple[int, TrackJson]]:
    """The units of each example."""
    extractor = open_system(system, index.sample_rate, request.device)
    numbers = list(extractor.layers)
    layer = _best_layer(request.exp, system.kind, numbers)
    index_of_layer, rate = numbers.index(layer), extractor.geometry.frame_rate
    label: Callable[[torch.Tensor], list[int]]
    if system.kind == "codes":
        title, label = f"own codes, layer {layer}", _codes
    else:
        title = f"units of layer {layer}, K = {request.num_clusters}"
        label = _learned(extractor, index_of_layer, request)
    first = max(0.0, WINDOW_SECONDS / 2 - 0.5 / rate)
    for row, ids in zip(
        rows, map_features(index, rows, extractor, lambda _, frames: label(frames[index_of_layer])), strict=True
    ):
        yield (
            row,
            {
                "title": title,
                "frame_rate": rate,
                "first_seconds": first,
                "ids": ids[: int(MAXIMUM_SECONDS * rate)],
            },
        )


def _best_layer(exp: Path, kind: str, layers: list[int]) -> int:
    """The layer that the units were best of, or the middle one where nothing was measured."""
    units = read_units(exp)
    rows = units.get("rows", []) if units else []
    best = [row["layer"] for row in rows if row.get("system") == kind and row.get("best")]
    return next((layer for layer in best if layer in layers), layers[(len(layers) - 1) // 2])


def _codes(frames: torch.Tensor) -> list[int]:
    return frames[:, 0].long().tolist()


def _learned(
    extractor: FeatureExtractor, index_of_layer: int, request: EvaluationRequest
) -> Callable[[torch.Tensor], list[int]]:
    """Quick k-means on part of the train set."""
    train = AudioIndex.open(request.train_set)
    total = int(extractor.geometry.output_lengths(np.asarray(train.num_samples)).sum())
    portion = min(1.0, TRAIN_FRAMES / max(total, 1))
    plan = plan_sample(train, extractor.geometry, portion=portion, max_frames=TRAIN_FRAMES, seed=request.seeds[0])
    parts = map_features(train, plan.rows, extractor, lambda _, frames: frames[index_of_layer].cpu())
    sample = torch.cat(list(parts))
    clusters = min(request.num_clusters, len(sample))
    centroids = fit_kmeans(sample, clusters, seed=request.seeds[0], device=request.device).centroids
    return lambda frames: assign(frames.cpu(), centroids).tolist()


def _write_audio(index: AudioIndex, row: int, path: Path) -> float:
    """The first seconds of an utterance as FLAC; returns how many."""
    import soundfile

    samples, rate = read_audio(
        index.path(row), num_samples=min(int(index.num_samples[row]), int(MAXIMUM_SECONDS * index.sample_rate))
    )
    with atomic_write(path, "wb") as stream:
        soundfile.write(stream, samples, rate, format="FLAC", subtype="PCM_16")
    return round(len(samples) / rate, 3)


def _phones(alignments: Alignments | None, utt_id: str) -> list[tuple[float, float, str]]:
    """(start s, end s, symbol) of each phone that is heard."""
    alignment = alignments.utterances.get(utt_id) if alignments else None
    if alignments is None or alignment is None:
        return []
    spans = zip(alignment.starts.tolist(), alignment.ends.tolist(), alignment.phones.tolist(), strict=True)
    return [
        (round(a, 4), round(min(b, MAXIMUM_SECONDS), 4), alignments.phones[phone])
        for a, b, phone in spans
        if a < MAXIMUM_SECONDS
    ]
