"""What is taken away from the features of each speaker: statistics of some utterances of each, for all jobs alike."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from espnet2.data.choose import id_hash
from espnet2.data.format.plan import utterances
from espnet2.data.index import AudioIndex, JoinedIndex
from espnet2.units.features import FeatureExtractor, map_features
from espnet2.units.frame_transform import FrameStatistics, RunningStatistics, join_layers
from espnet2.units.kaldi_audio import KaldiAudio
from espnet2.units.speaker_table import TABLE, read_speakers
from espnet2.units.transform import TransformOptions
from espnet2.utils.errors import UserError

UTTERANCES_PER_SPEAKER = 50  # some minutes of speech: the mean of more is the same, and they are all read twice

Extract = Callable[[list[int]], Iterator[tuple[int, Tensor]]]  # positions -> (position, (layers, frames, dim))


class SpeakerStatistics:
    """The statistics of the speaker of each utterance; of sets that are joined, a speaker is one of its set."""

    def __init__(self, speakers: Mapping[str, str], statistics: Mapping[str, FrameStatistics]) -> None:
        self.speakers, self.statistics = speakers, statistics

    def of(self, utt_id: str) -> FrameStatistics:
        """Of the speaker of an utterance.

        Raises:
            UserError: none of the speaker's utterances that were chosen had any frame.
        """
        statistics = self.statistics.get(self.speakers[utt_id])
        if statistics is None:
            raise UserError(
                f"{self.speakers[utt_id]} (folder and speaker): none of {UTTERANCES_PER_SPEAKER} utterances could be "
                f"read, so what to take away from {utt_id} is not known"
            )
        return statistics


def gather_speakers(
    index: AudioIndex | JoinedIndex, rows: Iterable[int], extractor: FeatureExtractor, options: TransformOptions
) -> SpeakerStatistics | None:
    """The statistics of the speakers of some rows; None where the options do not ask for them.

    Raises:
        UserError: no utt2spk, or an utterance that it lacks.
    """
    if not options.is_of_speakers:
        return None
    parts = index.parts if isinstance(index, JoinedIndex) else [index]
    starts = np.cumsum([0, *map(len, parts)])
    speakers: dict[str, str] = {}
    candidates: dict[str, list[int]] = {}
    for start, part in zip(starts, parts, strict=False):
        folder = part.directory.parent
        utt_ids = [part.utt_id(row) for row in range(len(part))]
        named = _with_set(utt_ids, read_speakers(folder, options), folder)
        speakers |= named
        for row, utt_id in enumerate(utt_ids):
            candidates.setdefault(named[utt_id], []).append(int(start) + row)
    needed = {speakers[index.utt_id(row)] for row in rows}

    def extract(chosen: list[int]) -> Iterator[tuple[int, Tensor]]:
        return map_features(index, chosen, extractor, lambda row, features: (row, features))

    statistics = _gather({name: candidates[name] for name in needed}, index.utt_id, extract)
    return SpeakerStatistics(speakers, statistics)


def gather_speakers_of_folder(
    audio: KaldiAudio, positions: range, extractor: FeatureExtractor, options: TransformOptions
) -> SpeakerStatistics | None:
    """The same of a Kaldi data folder.

    Args:
        positions: of the utterances whose speakers are needed.

    Raises:
        UserError: no utt2spk, or an utterance that it lacks.
    """
    if not options.is_of_speakers:
        return None
    utt_ids = [utterance.utt_id for utterance in utterances(audio.data_dir)]
    speakers = _with_set(utt_ids, read_speakers(audio.data_dir, options), audio.data_dir)
    candidates: dict[str, list[int]] = {speakers[utt_ids[position]]: [] for position in positions}
    for position, utt_id in enumerate(utt_ids):
        if speakers[utt_id] in candidates:
            candidates[speakers[utt_id]].append(position)

    def extract(chosen: list[int]) -> Iterator[tuple[int, Tensor]]:
        for position in chosen:
            for item in audio.load(position, position + 1):
                if item.wav is None or not extractor.geometry.output_lengths(len(item.wav)):
                    continue
                for part in extractor.stream(item.wav):
                    yield position, part

    return SpeakerStatistics(speakers, _gather(candidates, utt_ids.__getitem__, extract))


def _with_set(utt_ids: list[str], speakers: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Utterance -> speaker, the name of its set before it: the same name in two sets may be two people."""
    lacking = [utt_id for utt_id in utt_ids if utt_id not in speakers]
    if lacking:
        raise UserError(f"{folder}/{TABLE}: lacks {len(lacking):,} utterances, such as {lacking[0]}; write them in")
    return {utt_id: f"{folder} {speakers[utt_id]}" for utt_id in utt_ids}


def _gather(
    candidates: Mapping[str, list[int]], utt_id: Callable[[int], str], extract: Extract
) -> dict[str, FrameStatistics]:
    """Of some utterances of each speaker, chosen by a hash of their ids and added up in the order of the set."""
    speaker_of: dict[int, str] = {}
    for speaker, positions in candidates.items():
        by_hash = sorted(positions, key=lambda position: (id_hash(utt_id(position), 0), position))
        speaker_of |= dict.fromkeys(by_hash[:UTTERANCES_PER_SPEAKER], speaker)
    running = {speaker: RunningStatistics() for speaker in candidates}
    for position, features in extract(sorted(speaker_of)):
        running[speaker_of[position]].add(join_layers(features))
    return {speaker: statistics.result() for speaker, statistics in running.items() if statistics.count}
