"""A request in, the utterances of its valid set and the items of them out: from phones, or from official files."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from espnet2.data.index import AudioIndex
from espnet2.evaluate.abx.choice import Comparisons, best_layers, choose_cells, limits_of
from espnet2.evaluate.abx.clock import CLOCKS
from espnet2.evaluate.abx.item_file import ItemFile, Recording, find_item_files
from espnet2.evaluate.abx.items import Utterance, describe_dropped, find_items
from espnet2.evaluate.abx.rule import CONDITIONS, Rule
from espnet2.evaluate.part import EvaluationRequest
from espnet2.evaluate.systems import open_system
from espnet2.units.aligned import AlignedSet, align_set, common_counts
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import FeatureExtractor
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table


@dataclass(frozen=True)
class Choice:
    """All systems, and the same items and comparisons for all."""

    extractors: list[FeatureExtractor]
    valid: AlignedSet
    comparisons: list[Comparisons]
    notes: list[str]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to compare."""
        return not any(compared.cells for compared in self.comparisons)


def item_files(request: EvaluationRequest) -> list[ItemFile]:
    """The official files that the request names.

    Raises:
        UserError: of `find_item_files`.
    """
    return find_item_files(limits_of(request).item_paths, request.valid_set.name)


def choose(request: EvaluationRequest) -> Choice:
    """Open all systems and choose what they are compared on."""
    sample_rate = AudioIndex.open(request.valid_set).sample_rate
    extractors = [
        open_system(system, sample_rate, request.device, best_layers(request, system) or request.layers)
        for system in request.systems
    ]
    if limits_of(request).items:
        return _of_files(request, extractors, item_files(request))
    return _of_phones(request, extractors)


def _of_phones(request: EvaluationRequest, extractors: list[FeatureExtractor]) -> Choice:
    valid = align_set(
        request.valid_set, extractors, request.frame_rate, request.max_valid_frames, alignments=request.alignments
    )
    utterances, options = _utterances(request, valid), limits_of(request)
    clock = CLOCKS[options.clock_name]
    notes = list(valid.notes)
    speakers = {utterance.speaker for utterance in utterances}
    if 1 < len(speakers) == len(utterances):
        notes.append(
            f"{request.valid_set}/utt2spk: every utterance is a speaker of its own, so that within speaker means "
            "within utterance, and across speakers may mean the same person twice"
        )
    chosen = []
    for condition in [CONDITIONS[name] for name in options.conditions or ("triphone-within",)]:
        items = find_items(
            utterances,
            valid.symbols,
            frame_rate=request.frame_rate,
            max_group=options.max_group or None,
            condition=condition,
            clock=clock,
        )
        notes += describe_dropped(items, options.max_group, request.frame_rate)
        rule = Rule.of("phones.ctm", condition, clock)
        compared, more = choose_cells(options, rule, items, str(request.valid_set), speakers)
        chosen.append(compared)
        notes += more
    return Choice(extractors, valid, chosen, notes)


def _of_files(request: EvaluationRequest, extractors: list[FeatureExtractor], files: list[ItemFile]) -> Choice:
    """All utterances that the files name, however many: an official figure is of all of them."""
    index = AudioIndex.open(request.valid_set)
    counts = common_counts(index, extractors, request.frame_rate)
    options = limits_of(request)
    clock = CLOCKS[options.clock_name]
    notes: list[str] = []
    chosen = []
    row_of: dict[str, int] = {}
    for file in files:
        for name, item_rows in file.rows.items():
            row = _find_row(index, name, item_rows[0].speaker)
            if row is not None and counts[row] > 0:
                row_of[name] = row
    order = sorted(set(row_of.values()))
    number_of = {row: number for number, row in enumerate(order)}

    def recording(name: str) -> Recording | None:
        if name not in row_of:
            return None
        row = row_of[name]
        return Recording(number_of[row], int(counts[row]), float(index.num_samples[row] / index.sample_rate))

    for file in files:
        recordings, more = file.match(recording, str(request.valid_set), index.utt_id(0))
        notes += more
        cut = partial(file.items, recordings, frame_rate=request.frame_rate, max_group=options.max_group or None)
        for condition in file.chosen(options.conditions, "abx.conditions"):
            items = cut(condition, clock)
            notes += describe_dropped(items, options.max_group, request.frame_rate)
            rule = Rule.of(file.name, condition, clock)
            compared, more = choose_cells(options, rule, items, file.name, items.speakers)
            notes += more
            chosen.append(compared)
    rows = np.array(order, dtype=np.int64)
    return Choice(extractors, AlignedSet(index, rows, counts[rows], None), chosen, notes)


def _find_row(index: AudioIndex, name: str, speaker: str) -> int | None:
    """The utterance of a file: its name, without folders, or behind the name of its speaker."""
    base = name.rsplit("/", 1)[-1]
    for utt_id in dict.fromkeys((name, base, f"{speaker}-{base}", f"{speaker}_{base}")):
        row = index.find(utt_id)
        if row is not None:
            return row
    return None


def _utterances(request: EvaluationRequest, valid: AlignedSet) -> list[Utterance]:
    files = find_phones(request.valid_set, request.alignments)
    assert files is not None, "`align_set` found them"
    phones = read_phones(files, request.valid_set)
    table = request.valid_set / "utt2spk"
    speakers = read_table(table)
    utterances = []
    for row, num_frames in zip(valid.rows, valid.frame_counts, strict=True):
        utt_id = valid.index.utt_id(row)
        if not speakers.get(utt_id):
            raise UserError(f"{table}: no speaker of {utt_id}; expected '{utt_id} <speaker>'")
        utterances.append(Utterance(utt_id, speakers[utt_id], int(num_frames), phones.alignments.utterances[utt_id]))
    return utterances
