"""Phones in context and the comparisons between them: what is taken, what is left out, and by which rule."""

import numpy as np
import pytest

from espnet2.evaluate.abx.cells import make_cells
from espnet2.evaluate.abx.items import Items, Utterance, describe_dropped, find_items, is_speech
from espnet2.units.quality import Alignment

PHONES = ("a", "b", "c", "SIL", "spn_S")


def utterance(utt_id: str, text: str, *, speaker: str = "s", seconds: float = 0.1, num_frames: int = 1000) -> Utterance:
    """Phones of equal length: "a b SIL"."""
    names = text.split()
    starts = seconds * np.arange(len(names))
    alignment = Alignment(starts, starts + seconds, np.array([PHONES.index(name) for name in names]))
    return Utterance(utt_id, speaker, num_frames, alignment)


def items_of(*utterances: Utterance, max_group: int | None = None, **options) -> Items:
    return find_items(utterances, PHONES, frame_rate=50.0, max_group=max_group, **options)


def names(items: Items) -> list[tuple[str, str]]:
    return [(item.context, item.phone) for item in items.items]


def test_an_item_is_a_phone_between_two_others_and_all_their_frames():
    items = items_of(utterance("u", "a b c a"))
    assert sorted(names(items)) == [("a c", "b"), ("b a", "c")]
    by_phone = {item.phone: item for item in items.items}
    # Frames with their centre, t / 50 s + 12.5 ms, in 0..0.3 s: 0..14; in 0.1..0.4 s: 5..19.
    assert (by_phone["b"].first, by_phone["b"].num_frames) == (0, 15)
    assert (by_phone["c"].first, by_phone["c"].num_frames) == (5, 15)


def test_silence_is_no_phone_and_no_context():
    assert names(items_of(utterance("u", "SIL a b c spn_S b a"))) == [("a c", "b")]
    assert not any(map(is_speech, ["SIL", "sil", "sil_B", "<eps>", "", "pau", "h#"]))
    assert all(map(is_speech, ["S", "S_B", "sp1", "ʂ"]))


def test_a_gap_a_lack_of_frames_and_short_phones():
    apart = utterance("u", "a b c")
    apart.alignment.starts[2:] += 0.02
    assert items_of(apart).dropped == {"gap": 1}
    beyond = utterance("u", "a b c a b", num_frames=4)  # 0.0925 s: two of three items begin later
    items = items_of(beyond)
    assert [(item.phone, item.first, item.num_frames) for item in items.items] == [("b", 0, 4)]
    (note,) = describe_dropped(items, 10, 50.0)
    assert note.startswith("2 of 3 phones in context (each with the phone before and the phone after it) were left out")
    assert "shorter than the step of the frames (20 ms)" in note
    short = items_of(utterance("u", "a b c a b c", seconds=0.008))  # 24 ms each: one frame, or none at its centre
    assert {item.num_frames for item in short.items} <= {1, 2} and len(short.items) + short.dropped.get("frame", 0) == 4
    assert items_of(utterance("u", "a b")).items == ()


def test_too_many_items_of_a_group_are_thinned_by_a_hash_whatever_their_order():
    many = [utterance(f"u{i}", "a b c") for i in range(8)]
    few = items_of(*many, max_group=3)
    assert few.sizes.tolist() == [3] and few.dropped == {"group": 5}
    (note,) = describe_dropped(few, 3, 50.0)
    assert note.startswith("5 of 8 phones in context") and "more than 3 times, only 3 of these are compared" in note
    assert "abx.max_group (ssl_evaluate --options, in a recipe --eval_args) changes the number, 0 compares all" in note
    chosen = {many[item.utterance].utt_id for item in few.items}
    turned = many[::-1]
    assert {turned[item.utterance].utt_id for item in items_of(*turned, max_group=3).items} == chosen
    seeds = [frozenset(item.order for item in items_of(*many, max_group=3, seed=seed).items) for seed in range(5)]
    assert len(set(seeds)) > 1


def cells_of(items: Items, mode: str, **options) -> list[tuple[str, ...]]:
    cells = make_cells(items, mode, **{"max_x": None, "max_triples": None} | options)
    groups = zip(cells.a, cells.b, cells.x, strict=True)
    return sorted(tuple(f"{g.speaker}{g.phone}" for g in map(items.group, group)) for group in groups)


def test_cells_within_and_across():
    items = items_of(
        *(utterance(name, "a b a", speaker="s") for name in "12"),
        utterance("3", "a c a", speaker="s"),
        utterance("4", "a b a", speaker="t"),
        utterance("5", "b b b", speaker="t"),
    )
    # b of s twice: an x and an a; c once: only a b. t has no second phone between two a.
    assert cells_of(items, "within") == [("sb", "sc", "sb")]
    assert cells_of(items, "across") == [("sb", "sc", "tb")]
    cells = make_cells(items, "within", max_x=None, max_triples=None)
    assert cells.num_triples.tolist() == [2] and cells.num_phone_pairs == 1  # x is not its own a
    assert make_cells(items, "across", max_x=None, max_triples=None).num_triples.tolist() == [2]


def test_one_speaker_has_no_cells_across():
    items = items_of(*(utterance(f"u{i}", f"a {'bc'[i % 2]} a") for i in range(6)))
    assert cells_of(items, "across") == [] and len(cells_of(items, "within")) == 2


def many_speakers(num_speakers: int = 6) -> Items:
    words = ["a b a", "a c a", "b a b", "b c b", "c a c", "c b c"]
    return items_of(*(utterance(f"{s}{w[:3]}{w[2]}", w, speaker=str(s)) for s in range(num_speakers) for w in words))


def test_across_x_is_of_a_few_other_speakers_the_same_for_all_b():
    items = many_speakers()
    every, some = cells_of(items, "across"), cells_of(items, "across", max_x=2)
    assert len(every) == 3 * 6 * 2 * 5  # contexts, speakers, phones (one other each), other speakers
    assert len(some) == 3 * 6 * 2 * 2 and set(some) <= set(every)


def test_whole_contexts_are_taken_until_the_triples_reach_the_limit():
    items = many_speakers()
    whole = make_cells(items, "across", max_x=None, max_triples=None)
    assert whole.num_left_out == 0 and len(whole.num_triples) == 3 * 6 * 2 * 5
    part = make_cells(items, "across", max_x=None, max_triples=150)
    assert len(part.num_triples) == 120 and part.num_left_out == 60  # two of three contexts of 60
    assert {items.group(cell).context for cell in part.a} < {"a a", "b b", "c c"}
    least = make_cells(items, "across", max_x=None, max_triples=1)
    assert len(least.num_triples) == 60  # a context is never cut, and one is always taken


@pytest.mark.parametrize("mode", ["within", "across"])
def test_nothing_to_compare(mode):
    cells = make_cells(items_of(utterance("u", "a b")), mode, max_x=5, max_triples=None)
    assert len(cells.a) == 0 and cells.num_phone_pairs == 0
