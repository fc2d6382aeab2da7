"""A request in, the layers, the items and the comparisons that ABX is computed on out: the same for all systems."""

from dataclasses import dataclass

from espnet2.ssl.data.index import AudioIndex
from espnet2.ssl.evaluate.abx_cells import MODES, Cells, make_cells
from espnet2.ssl.evaluate.abx_items import Items, Utterance, describe_dropped, find_items
from espnet2.ssl.evaluate.aligned import AlignedSet, align_set
from espnet2.ssl.evaluate.alignment import find_phones, read_phones
from espnet2.ssl.evaluate.part import EvaluationRequest, read_part
from espnet2.ssl.evaluate.systems import System, open_system
from espnet2.ssl.units.features import FeatureExtractor
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table

MIN_PHONE_PAIRS = 20  # ordered; of fewer, single pairs move the figure by points and the interval means nothing
MAX_GROUP, MAX_X = 10, 5  # the defaults of Libri-light's eval_ABX.py (max_size_group, max_x_across)
MAX_TRIPLES = {"default": 200_000, "full": 5_000_000}  # of each mode: seconds and minutes for a layer


@dataclass(frozen=True)
class Limits:
    """How the comparisons are thinned out."""

    max_group: int = MAX_GROUP  # items of one context, speaker and phone
    max_x: int = MAX_X  # other speakers for each A
    max_triples: int = MAX_TRIPLES["default"]  # of each mode

    def describe(self) -> str:
        """The rule as a sentence."""
        return (
            f"Of more than {self.max_group} items of a context, speaker and phone, {self.max_group} are taken; across "
            f"speakers, X comes from at most {self.max_x} speakers for each A; of more than {self.max_triples:,} "
            "triples of a mode, as many whole contexts as fit. All by a hash of names, the same for all systems."
        )


@dataclass(frozen=True)
class Choice:
    """All systems, and the same items and comparisons for all."""

    extractors: list[FeatureExtractor]
    valid: AlignedSet
    items: Items
    cells: list[Cells]
    notes: list[str]


def limits_of(request: EvaluationRequest) -> Limits:
    """By effort."""
    return Limits(max_triples=MAX_TRIPLES[request.effort])


def choose(request: EvaluationRequest) -> Choice:
    """Open all systems and choose what they are compared on."""
    sample_rate = AudioIndex.open(request.valid_set).sample_rate
    extractors = [
        open_system(system, sample_rate, request.device, best_layers(request, system) or request.layers)
        for system in request.systems
    ]
    valid = align_set(
        request.valid_set, extractors, request.frame_rate, request.max_valid_frames, alignments=request.alignments
    )
    utterances = _utterances(request, valid)
    items = find_items(utterances, valid.symbols, frame_rate=request.frame_rate, max_group=limits_of(request).max_group)
    notes = [*valid.notes, *describe_dropped(items)]
    speakers = {utterance.speaker for utterance in utterances}
    if 1 < len(speakers) == len(utterances):
        notes.append(
            f"{request.valid_set}/utt2spk: every utterance is a speaker of its own, so that within speaker means "
            "within utterance, and across speakers may mean the same person twice"
        )
    cells, more = _choose_cells(request, items, sorted(speakers))
    return Choice(extractors, valid, items, cells, notes + more)


def _choose_cells(request: EvaluationRequest, items: Items, speakers: list[str]) -> tuple[list[Cells], list[str]]:
    """The comparisons of each mode that has enough, and notes on the others."""
    limits = limits_of(request)
    cells, notes = [], []
    for mode in MODES:
        if mode == "across" and len(speakers) < 2:
            notes.append(f"no ABX across speakers: {request.valid_set} has one speaker, {speakers[0]}")
            continue
        each = make_cells(items, mode, max_x=limits.max_x, max_triples=limits.max_triples)
        if each.num_phone_pairs < MIN_PHONE_PAIRS:
            notes.append(
                f"no ABX {mode} speakers: {request.valid_set} has {each.num_phone_pairs} pairs of phones that occur "
                f"between the same two phones often enough, at least {MIN_PHONE_PAIRS} are needed; give more utterances"
            )
            continue
        if each.num_left_out:
            notes.append(
                f"ABX {mode} speakers: {int(each.num_triples.sum()):,} triples, {each.num_left_out:,} left out"
            )
        cells.append(each)
    return cells, notes


def _utterances(request: EvaluationRequest, valid: AlignedSet) -> list[Utterance]:
    phones = read_phones(find_phones(request.valid_set, request.alignments), request.valid_set)
    table = request.valid_set / "utt2spk"
    speakers = read_table(table)
    found = []
    for row, num_frames in zip(valid.rows, valid.frame_counts, strict=True):
        utt_id = valid.index.utt_id(row)
        if not speakers.get(utt_id):
            raise UserError(f"{table}: no speaker of {utt_id}; expected '{utt_id} <speaker>'")
        found.append(Utterance(utt_id, speakers[utt_id], int(num_frames), phones.alignments.utterances[utt_id]))
    return found


def best_layers(request: EvaluationRequest, system: System) -> tuple[int, ...] | None:
    """The layer with the best units, chosen on train, unless all are asked for (effort "full").

    Returns:
        None: all layers of the request; also where the units of these weights are not known.
    """
    if request.effort == "full":
        return None
    for row in (read_part(request.exp, "units") or {}).get("rows", []):
        same = [row.get(key) for key in ("system", "title", "teacher_hash")] == [system.kind, system.title, system.hash]
        if same and row.get("best") and (request.layers is None or row["layer"] in (None, *request.layers)):
            return (row["layer"] or 0,)
    return None


def _limits(request: EvaluationRequest) -> Limits:
    return Limits(max_triples=MAX_TRIPLES[request.effort])
