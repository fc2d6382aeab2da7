"""EER, DER, MTWV and slots against cases that are worked out by hand."""

import random

import pytest

from espnet2.superb.metrics.der import DiarizationErrors, Turn, diarization_errors
from espnet2.superb.metrics.eer import equal_error_rate
from espnet2.superb.metrics.mtwv import BETA, maximum_twv
from espnet2.superb.metrics.slots import filled, marked, slot_figures
from espnet2.superb.slot_tokens import SlotTokens
from espnet2.utils.errors import UserError


@pytest.mark.parametrize(
    ("targets", "scores", "rate"),
    [
        ([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], 0.0),  # told apart
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 1.0),  # the wrong way round
        ([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1], 0.5),
        ([1, 1, 1, 1, 0, 0, 0, 0], [8, 7, 6, 3, 5, 2, 1, 0], 0.25),  # one of four each
        ([1, 0], [0.5, 0.5], 0.5),  # equal scores: the line between (0, 0) and (1, 1)
        ([1, 1, 1, 0, 0], [5, 4, 1, 3, 0], 1 / 3),  # from (0, 1/3 missed) to (1/2, 1/3 missed): the level of misses
    ],
)
def test_the_equal_error_rate_by_hand(targets, scores, rate):
    assert equal_error_rate(targets, scores) == pytest.approx(rate)


def test_trials_of_one_kind_have_no_equal_error_rate():
    with pytest.raises(UserError, match="0 of 2 trials are targets"):
        equal_error_rate([False, False], [0.1, 0.2])
    with pytest.raises(UserError, match="no numbers"):
        equal_error_rate([True, False], [float("nan"), 0.2])


A, B = Turn("a", 0, 10), Turn("b", 5, 15)  # 5 s of overlap; 20 speaker seconds


@pytest.mark.parametrize(
    ("truth", "heard", "errors"),
    [
        ([A, B], [Turn("1", 0, 10), Turn("2", 5, 15)], (0, 0, 0, 20)),
        ([A, B], [Turn("2", 5, 15), Turn("1", 0, 10)], (0, 0, 0, 20)),  # names and order do not matter
        ([A, B], [], (20, 0, 0, 20)),
        ([], [A], (0, 10, 0, 0)),
        ([A, B], [Turn("1", 0, 15)], (5, 0, 5, 20)),  # one for both: the overlap is missed, the rest of b confused
        ([A], [Turn("1", 0, 10), Turn("2", 0, 10)], (0, 10, 0, 10)),
        ([A], [Turn("1", 2, 12)], (2, 2, 0, 10)),
        ([A, Turn("b", 10, 20)], [Turn("1", 0, 4), Turn("2", 4, 20)], (0, 0, 6, 20)),
    ],
)
def test_the_diarization_error_by_hand(truth, heard, errors):
    assert diarization_errors(truth, heard) == pytest.approx(errors)


def test_rates_of_recordings_are_added_before_they_are_divided():
    both = diarization_errors([A], []) + diarization_errors([A, B], [A, B])
    assert both == DiarizationErrors(10, 0, 0, 30) and both.rate == pytest.approx(1 / 3)
    with pytest.raises(UserError, match="nobody speaks"):
        _ = diarization_errors([], [A]).rate


def test_the_term_weighted_value_by_hand():
    assert pytest.approx(12.49) == BETA
    documents = {f"d{number}": float(-number) for number in range(5)}  # d0 is the most likely
    assert maximum_twv({"q": documents}, {"q": {"d0"}}) == pytest.approx(1)
    # d1 is right: to take it, d0 is taken too: 1 - (0 + beta / 4) < 0. Nothing is taken: 0.
    assert maximum_twv({"q": documents}, {"q": {"d1"}}) == 0
    assert maximum_twv({"q": documents}, {"q": {"d1"}}, beta=1.0) == pytest.approx(0.75)
    # Two of three queries are found at the common threshold, the third misses; one without documents is left out.
    scores = {
        "q": documents,
        "r": documents,
        "s": {name: value - 9 for name, value in documents.items()},
        "t": documents,
    }
    matches = {"q": {"d0"}, "r": {"d0"}, "s": {"d4"}}
    assert maximum_twv(scores, matches) == pytest.approx(2 / 3)
    equal = {"q": {"d0": 1.0, "d1": 1.0, "d2": 0.0}}  # equal scores come together: 1 - (0 + 1/2)
    assert maximum_twv(equal, {"q": {"d0"}}, beta=1.0) == pytest.approx(0.5)


def test_queries_without_documents_of_both_kinds_are_refused():
    with pytest.raises(UserError, match="no query is in any document"):
        maximum_twv({"q": {"d": 1.0}}, {})
    with pytest.raises(UserError, match="1 of 1 documents hold it"):
        maximum_twv({"q": {"d": 1.0}}, {"q": {"d"}})


def test_slots_by_hand():
    reference = marked(
        "PLAY LET IT BE BY THE BEATLES".split(), ["O", "track", "track", "track", "O", "artist", "artist"]
    )
    assert reference == "PLAY B-track LET IT BE E-track BY B-artist THE BEATLES E-artist"
    assert filled(reference) == {"track": ["LET IT BE"], "artist": ["THE BEATLES"]}
    assert slot_figures([reference], [reference]) == {"f1": 1.0, "cer": 0.0}
    # One of two kinds is heard: precision 1, recall 1/2. 'THE BEATLES' (11 letters of 20) is deleted.
    heard = "PLAY B-track LET IT BE E-track BY THE BEATLES"
    figures = slot_figures([reference], [heard])
    assert figures == pytest.approx({"f1": 2 / 3, "cer": 11 / 20})
    # A wrong letter, and a further kind that is not there: precision 2/3, recall 1.
    heard = "PLAY B-track LAT IT BE E-track B-album BY E-album B-artist THE BEATLES E-artist"
    assert slot_figures([reference], [heard]) == pytest.approx({"f1": 0.8, "cer": 1 / 20})
    assert slot_figures(["A B", "A B"], ["A", "B-x A E-x"]) == {"f1": 0.5, "cer": 0.0}
    assert filled("B-a B-b X E-b Y E-a") == {"a": ["X Y"]}  # marks inside a value are no letters of it


def test_texts_with_slots_survive_their_tokens():
    text = "PLAY B-track LET IT BE E-track BY B-artist THE BEATLES E-artist"
    tokens = SlotTokens([text])
    spread = [number for symbol in tokens.encode(text).tolist() for number in (symbol, symbol, 0)]
    assert tokens.decode(spread) == text
    random.seed(0)
    tokens.decode([random.randrange(len(tokens.symbols)) for _ in range(200)])  # whatever a head says
