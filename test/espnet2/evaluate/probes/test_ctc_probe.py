"""CTC probes and error rates: toy mappings are learned, figures agree with edit distances done by hand."""

import numpy as np
import pytest
import torch

from espnet2.evaluate.probes import ctc as ctc_probe
from espnet2.evaluate.probes.ctc import SpokenSet, fit_ctc
from espnet2.text.ctc import CtcTokens, TextRules, error_rates, frames_needed, plain_text
from espnet2.utils.errors import UserError


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def edit_distance(reference: list[str], hypothesis: list[str]) -> int:
    """By the definition: substitutions, deletions and insertions (Levenshtein 1966)."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, heard in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != heard))
    return row[-1]


def spoken(num_utterances: int, seed: int) -> SpokenSet:
    """Two layers of which the second spells out symbols 1 to 4, three frames each, with one frame of rest between."""
    random = np.random.default_rng(seed)
    targets = tuple(torch.from_numpy(random.integers(1, 5, random.integers(3, 7))) for _ in range(num_utterances))
    parts = [torch.nn.functional.one_hot(target, 6).float().repeat_interleave(4, dim=0) for target in targets]
    for part in parts:
        part[3::4] = 0
    told = torch.cat(parts)
    noise = torch.from_numpy(random.standard_normal((2, *told.shape))).float()
    features = torch.stack([noise[0], told + 0.05 * noise[1]])
    return SpokenSet(features, tuple(len(part) for part in parts), targets)


@pytest.mark.parametrize("linear", [False, True])
def test_learns_a_toy_mapping_and_which_layer_tells(linear, monkeypatch):
    monkeypatch.setattr(ctc_probe, "BATCH_FRAMES", 300)
    train, test = spoken(50, 0), spoken(20, 1)
    result = fit_ctc(train, test, 5, seed=0, linear=linear, passes=60 if linear else 20)
    tokens = CtcTokens(["b", "c", "d"], str.split, "phn")  # ids 2 to 4; 1 is <unk>
    heard = [tokens.decode(best) for best in result.best]
    said = [" ".join(tokens.symbols[number] for number in target.tolist()) for target in test.targets]
    assert error_rates(said, heard, "phn")["per"] < 0.02
    assert result.layer_weights[1] > 0.6


def test_a_seed_decides_all_and_the_global_generator_is_left_alone():
    train, test = spoken(12, 0), spoken(4, 1)
    before = torch.random.get_rng_state()
    first, again, other = (fit_ctc(train, test, 5, seed=seed, passes=3) for seed in (0, 0, 1))
    assert first == again and first.layer_weights != other.layer_weights
    assert torch.equal(before, torch.random.get_rng_state())


def test_order_and_padding_of_utterances_do_not_matter_for_decoding():
    test = spoken(9, 2)
    turned = list(reversed(range(9)))
    parts = torch.split(test.features, list(test.frame_counts), dim=1)
    other = SpokenSet(torch.cat([parts[i] for i in turned], dim=1), tuple(test.frame_counts[i] for i in turned), ())
    first, second = (fit_ctc(spoken(12, 0), order, 5, seed=0, passes=2) for order in (test, other))
    assert first.best == tuple(reversed(second.best))


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [("a b c d", "a c d e", 2), ("a b", "", 2), ("a", "a b c", 2), ("p q r", "p q r", 0), ("a b c", "b c a", 2)],
)
def test_phone_error_rate_is_edits_over_length(reference, hypothesis, errors):
    words = reference.split()
    assert edit_distance(words, hypothesis.split()) == errors
    assert error_rates([reference], [hypothesis], "phn")["per"] == pytest.approx(errors / len(words))


def test_error_rates_weigh_utterances_by_their_length():
    rates = error_rates(["the cat sat", "no"], ["the hat sat", "yes"], "char")
    assert rates["wer"] == pytest.approx(2 / 4)
    letters = edit_distance(list("the cat sat"), list("the hat sat")) + edit_distance(list("no"), list("yes"))
    assert rates["cer"] == pytest.approx(letters / 13)


def test_tokens_of_texts():
    tokens = CtcTokens.of_texts(["ab a", "a"], TextRules("char"), None)
    assert tokens.symbols == ("<blank>", "<unk>", "a", "<space>", "b")
    ids = tokens.encode("ab ax")
    assert ids.tolist() == [2, 4, 3, 2, 1]
    assert tokens.decode([0, 2, 2, 0, 4, 3, 3, 2, 0]) == "ab a"
    with pytest.raises(UserError, match="no text"):
        CtcTokens.of_texts(["", " "], TextRules("char"), None)


def test_bpe_goes_there_and_back(tmp_path):
    texts = ["the cat sat on the mat", "the hat on the cat", "a cat and a hat"]
    tokens = CtcTokens.of_texts(texts, TextRules("bpe", nbpe=18), tmp_path / "bpe.model")
    ids = tokens.encode(texts[0])
    frames = [number for piece in ids.tolist() for number in (piece, 0)]
    assert tokens.decode(frames) == texts[0]


def test_a_token_list_of_stage_5_is_taken(tmp_path):
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\nb\na\n<sos/eos>\n", encoding="utf-8")
    tokens = CtcTokens.of_list(tmp_path / "tokens.txt", TextRules("char"), None)
    assert tokens.symbols == ("<blank>", "<unk>", "b", "a")


def test_frames_that_a_target_needs():
    assert [frames_needed(np.array(target, dtype=int)) for target in ([], [3], [3, 3], [3, 4, 3, 3, 3])] == [0, 1, 3, 7]


def test_plain_text_keeps_letters_of_any_script():
    assert plain_text("Корреспондент, американской — «газеты»... 'tis l’eau") == (
        "корреспондент американской газеты tis l’eau"
    )
