"""ABX error rates against plain loops over the published definition, and against cases whose answer is known."""

import math

import numpy as np
import pytest
import torch
from abx_by_hand import FASTABX_FIGURES, Spoken, abx_error, as_units, fastabx_corpus, make_corpus

from espnet2.evaluate.abx.cells import Tiles, make_cells, make_tiles
from espnet2.evaluate.abx.distance import ItemFrames, tile_distances, warp
from espnet2.evaluate.abx.items import Items, Utterance, find_items
from espnet2.evaluate.abx.rows import Materials, pair_errors
from espnet2.evaluate.abx.score import PairErrors, average, interval
from espnet2.units.quality import Alignment

MODES = ("within", "across")


def items_of(spoken: list[Spoken], **options) -> Items:
    phones = sorted({phone for utterance in spoken for _, _, phone in utterance.phones})
    utterances = []
    for utterance in spoken:
        starts, ends, names = zip(*utterance.phones, strict=True)
        alignment = Alignment(np.array(starts), np.array(ends), np.array([phones.index(name) for name in names]))
        utterances.append(Utterance(utterance.utt_id, utterance.speaker, len(utterance.frames), alignment))
    return find_items(utterances, phones, **{"frame_rate": 50.0, "max_group": None} | options)


def our_error(spoken: list[Spoken], mode: str, distance: str, **options) -> float:
    items = items_of(spoken, **options)
    cells = make_cells(items, mode, max_x=None, max_triples=None)
    materials = Materials.of(items, np.array([len(utterance.frames) for utterance in spoken]), [cells])
    frames = torch.tensor([frame for utterance in spoken for frame in utterance.frames])
    return pair_errors(materials, materials.comparisons[0], frames, distance).error_rate


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("distance", ["angular", "euclidean", "equal"])
def test_figures_are_those_of_plain_loops_over_the_definition(mode, distance):
    spoken = make_corpus(0, num_speakers=3, num_utterances=15, noise=0.6)
    if distance == "equal":
        spoken = as_units(spoken)
    expected = abx_error(spoken, mode, distance)
    assert 0.05 < expected < 0.45  # neither chance nor perfect: an error of any kind would move it
    assert our_error(spoken, mode, distance) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("distance", ["angular", "euclidean"])
def test_null_vectors_are_far_from_all_others_and_equal_to_each_other(distance):
    whole = make_corpus(1, num_speakers=2, num_utterances=12)
    frames = [[[0.0] * 5 if t % 4 == 0 else frame for t, frame in enumerate(utterance.frames)] for utterance in whole]
    spoken = [utterance._replace(frames=vectors) for utterance, vectors in zip(whole, frames, strict=True)]
    assert our_error(spoken, "across", distance) == pytest.approx(abx_error(spoken, "across", distance), abs=1e-9)


def repeated(value_of, speakers=("s0", "s1"), times: int = 2) -> list[Spoken]:
    """Each speaker says "x a x" and "x b x" so many times; `value_of(phone)` is the vector of all frames."""
    spoken = []
    for speaker in speakers:
        for phone in "ab":
            for number in range(times):
                phones = [(0.0, 0.06, "x"), (0.06, 0.12, phone), (0.12, 0.18, "x")]
                frames = [value_of(speaker, phone)] * 8
                spoken.append(Spoken(f"{speaker}{phone}{number}", speaker, phones, frames))
    return spoken


@pytest.mark.parametrize("mode", MODES)
def test_perfect_useless_and_perverse_features_give_no_half_and_all_errors(mode):
    vectors = {"a": [1.0, 0.0], "b": [0.0, 1.0]}
    other = {"a": "b", "b": "a"}
    for distance in ("angular", "euclidean"):
        assert our_error(repeated(lambda _, phone: vectors[phone]), mode, distance) == 0
        assert our_error(repeated(lambda _, phone: [1.0, 1.0]), mode, distance) == 0.5
    # The second speaker's a is the first one's b: right within each of them, always wrong across.
    swapped = repeated(lambda speaker, phone: vectors[phone if speaker == "s0" else other[phone]])
    assert our_error(swapped, mode, "angular") == {"within": 0, "across": 1}[mode]


def test_an_average_counts_contexts_then_speakers_then_pairs_alike():
    # Speaker 0 tells a from b in two contexts (no errors, all errors), speaker 1 in one (all): (1/2 + 1) / 2.
    # b from a: speaker 0 only, no errors. Each pair counts the same, however many cells it has.
    class Keys:
        keys = np.array([[0, 0, 1], [0, 0, 1], [1, 0, 1], [0, 1, 0]])

    pairs = average(Keys, np.array([0.0, 1.0, 1.0, 0.0]))
    assert pairs.phones.tolist() == [[0, 1], [1, 0]]
    assert pairs.errors.tolist() == [0.75, 0.0] and pairs.error_rate == 0.375


def test_a_path_is_normalised_by_the_cells_that_it_passes():
    def distance(rows: list[float], columns: list[float], kind: str) -> float:
        frames = torch.tensor([rows + columns]).T
        items = ItemFrames(frames, np.array([0, len(rows)]), np.array([len(rows), len(columns)]))
        places = np.zeros((1, 3), dtype=np.int64)
        tiles = Tiles(np.array([[0, 1]]), np.array([1]), np.array([1]), places, places)
        return float(tile_distances(items, tiles, kind)[0])

    assert distance([0.0], [3.0], "euclidean") == 3
    assert distance([0.0, 4.0], [1.0, 4.0], "euclidean") == pytest.approx(1 / 2)  # two cells, both ways at once
    assert distance([0.0, 0.0, 5.0], [5.0], "euclidean") == pytest.approx(10 / 3)  # one column: three cells
    # Two paths cost 3, of three cells and of four. Walking back, both before goes first, and finds the one of three.
    assert distance([1.0, 2.0], [2.0, 3.0, 4.0], "equal") == 3 / 3


def test_pairs_of_different_lengths_in_one_batch_do_not_disturb_each_other():
    generator = torch.Generator().manual_seed(0)
    heights, widths = torch.tensor([1, 5, 9, 3, 9]), torch.tensor([7, 1, 4, 3, 11])
    lattice = torch.full((10, 12, 5), math.inf)
    lattice[1:, 1:] = torch.rand(9, 11, 5, generator=generator)
    together = warp(lattice.clone(), heights, widths)
    for pair in range(5):
        alone = lattice[: heights[pair] + 1, : widths[pair] + 1, pair : pair + 1].contiguous()
        expected = warp(alone, heights[pair : pair + 1], widths[pair : pair + 1])
        assert together[pair] == expected[0]


@pytest.mark.parametrize("mode", MODES)
def test_mirrored_distances_are_those_of_all_pairs(mode):
    spoken = make_corpus(3, num_speakers=3, num_utterances=15)
    items = items_of(spoken)
    cells = make_cells(items, mode, max_x=None, max_triples=None)
    materials = Materials.of(items, np.array([len(utterance.frames) for utterance in spoken]), [cells])
    frames = torch.tensor([frame for utterance in spoken for frame in utterance.frames])
    stored = ItemFrames(frames, materials.firsts, materials.counts)
    whole, half = (make_tiles(items, cells, mirror=mirror) for mirror in (False, True))
    assert half.num_pairs < whole.num_pairs
    all_found, half_found = (tile_distances(stored, tiles, "angular") for tiles in (whole, half))
    for groups, one, other in ((cells.a, whole.to_a, half.to_a), (cells.b, whole.to_b, half.to_b)):
        last_x, last = items.sizes[cells.x] - 1, items.sizes[groups] - 1
        for row, column in ((0, 0), (last_x, 0), (0, last), (last_x, last)):  # the corners of each block
            places = [steps[:, 0] + row * steps[:, 1] + column * steps[:, 2] for steps in (one, other)]
            np.testing.assert_allclose(all_found[places[0]], half_found[places[1]], atol=1e-6)


def test_many_small_parts_give_the_figures_of_one(monkeypatch):
    spoken = make_corpus(0, num_speakers=3, num_utterances=15)
    expected = our_error(spoken, "across", "euclidean")
    monkeypatch.setattr("espnet2.evaluate.abx.distance.FRAME_PAIRS", 50)
    monkeypatch.setattr("espnet2.evaluate.abx.distance.LATTICE_CELLS", 200)
    assert our_error(spoken, "across", "euclidean") == expected


def test_an_interval_holds_the_figure_draws_both_orders_together_and_narrows_with_more_pairs():
    def made(num_phones: int) -> PairErrors:
        phones = np.array([(a, b) for a in range(num_phones) for b in range(num_phones) if a != b])
        return PairErrors(phones, np.random.default_rng(0).uniform(0, 0.4, len(phones)))

    few, many = made(4), made(20)
    for pairs in (few, many):
        low, high = interval(pairs)
        assert 0 <= low < pairs.error_rate < high <= 1
    assert np.ptp(interval(many)) < np.ptp(interval(few)) / 2
    # What (A, B) and (B, A) say together is always the same here: nothing varies when they are drawn together.
    opposite = PairErrors(few.phones, np.where(few.phones[:, 0] < few.phones[:, 1], 0.1, 0.3))
    assert interval(opposite) == pytest.approx((0.2, 0.2))
    # 95 % of the mean of independent values: 1.96 standard errors to each side.
    error = many.errors.reshape(20, 19)
    symmetric = PairErrors(many.phones, many.errors)
    spread = np.ptp(interval(symmetric))
    assert spread == pytest.approx(2 * 1.96 * error.std() / math.sqrt(2 * 190), rel=0.15)


@pytest.mark.parametrize(("distance", "mode"), list(FASTABX_FIGURES))
def test_figures_are_those_of_fastabx(distance, mode):
    spoken = fastabx_corpus(distance)
    assert our_error(spoken, mode, distance) == pytest.approx(FASTABX_FIGURES[distance, mode], abs=1e-6)
