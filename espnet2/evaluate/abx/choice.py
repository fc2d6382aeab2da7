"""What ABX is computed on: the layers, the items and the comparisons, chosen once for all systems."""

from dataclasses import dataclass

from pydantic import Field

from espnet2.data.index import AudioIndex
from espnet2.evaluate.abx.cells import MODES, Cells, make_cells
from espnet2.evaluate.abx.items import Items, Utterance, describe_dropped, find_items
from espnet2.evaluate.part import EvaluationRequest
from espnet2.evaluate.systems import System, open_system
from espnet2.evaluate.units.row import read_units
from espnet2.units.aligned import AlignedSet, align_set
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import FeatureExtractor
from espnet2.utils.config import Config, parse_config
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table

MIN_PHONE_PAIRS = 20  # ordered; of fewer, single pairs move the figure by points and the interval means nothing
MAX_TRIPLES = {"default": 200_000, "full": 5_000_000}  # of each mode: seconds and minutes for a layer


class AbxOptions(Config):
    """`options["abx"]` of a request: how the comparisons are thinned out; 0 means no limit.

    The first two defaults are those of Libri-light's eval_ABX.py (max_size_group, max_x_across).
    """

    max_group: int = Field(10, ge=0, description="times that a speaker's phone between the same neighbours is compared")
    max_x: int = Field(5, ge=0, description="other speakers for each A")
    max_triples: int | None = Field(
        None, ge=0, description="of each mode (default: 200,000; with effort full 5,000,000)"
    )

    def describe(self) -> str:
        """The rule as a sentence."""
        rules = [
            f"where a speaker says a phone between the same two neighbours more than {self.max_group} times, "
            f"{self.max_group} of them are compared",
            f"across speakers, X comes from at most {self.max_x} speakers for each A",
            f"of more than {self.max_triples or 0:,} triples of a mode, as many whole contexts are compared as fit",
        ]
        limits = (self.max_group, self.max_x, self.max_triples)
        chosen = "; ".join(rule for rule, limit in zip(rules, limits, strict=True) if limit)
        if not chosen:
            return "No comparison is left out: the limits abx.max_group, abx.max_x and abx.max_triples are all 0"
        return (
            f"How comparisons are thinned out: {chosen}. What is left out is decided by a hash of names, the same for "
            "all systems; abx.max_group, abx.max_x and abx.max_triples change the limits (--options, in a recipe "
            "--eval_args)"
        )


@dataclass(frozen=True)
class Choice:
    """All systems, and the same items and comparisons for all."""

    extractors: list[FeatureExtractor]
    valid: AlignedSet
    items: Items
    cells: list[Cells]
    notes: list[str]


def limits_of(request: EvaluationRequest) -> AbxOptions:
    """The options of this part, checked; the number of triples by effort.

    Raises:
        UserError: an unknown one.
    """
    options = parse_config(AbxOptions, request.options.get("abx"), "options of ABX")
    if options.max_triples is None:
        options = options.model_copy(update={"max_triples": MAX_TRIPLES[request.effort]})
    return options


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
    utterances, max_group = _utterances(request, valid), limits_of(request).max_group
    items = find_items(utterances, valid.symbols, frame_rate=request.frame_rate, max_group=max_group or None)
    notes = [*valid.notes, *describe_dropped(items, max_group, request.frame_rate)]
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
        mode_cells = make_cells(items, mode, max_x=limits.max_x or None, max_triples=limits.max_triples or None)
        if mode_cells.num_phone_pairs < MIN_PHONE_PAIRS:
            notes.append(
                f"no ABX {mode} speakers: {request.valid_set} has {mode_cells.num_phone_pairs} pairs of phones that "
                f"occur between the same two phones often enough, at least {MIN_PHONE_PAIRS} are needed; give more "
                "utterances"
            )
            continue
        if mode_cells.num_left_out:
            notes.append(
                f"ABX {mode} speakers: {int(mode_cells.num_triples.sum()):,} triples are compared, "
                f"{mode_cells.num_left_out:,} are left out, whole contexts at a time: abx.max_triples is "
                f"{limits.max_triples:,}, 0 compares all"
            )
        cells.append(mode_cells)
    return cells, notes


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


def best_layers(request: EvaluationRequest, system: System) -> tuple[int, ...] | None:
    """The layer with the best units, chosen on train, unless all are asked for (effort "full").

    Returns:
        None: all layers of the request; also where the units of these weights are not known.
    """
    if request.effort == "full":
        return None
    units = read_units(request.exp)
    for row in units.get("rows", []) if units else []:
        owner = [row.get("system"), row.get("title"), row.get("teacher_hash")]
        same = owner == [system.kind, system.title, system.hash]
        if same and row.get("best") and (request.layers is None or row["layer"] in (None, *request.layers)):
            return (row["layer"] or 0,)
    return None
