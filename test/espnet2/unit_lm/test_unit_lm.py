"""Units as language: a decoder that sees no future, learns a made-up language, resumes exactly, tells pairs apart."""

import csv
import json
import math
import random
from pathlib import Path

import pytest
import torch
from tiny_tokens import NEXT, make_tokens, sentence, write_tokens
from tiny_units import run_program

from espnet2.data.labels.packed import NO_LABEL
from espnet2.unit_lm.config import load_unit_lm_config
from espnet2.unit_lm.data import Pieces, TokenSet
from espnet2.unit_lm.objective import build_unit_lm
from espnet2.unit_lm.pairs import judge_pairs, read_gold
from espnet2.unit_lm.session import OpenedUnitLm, log_probs_of
from espnet2.utils.errors import UserError

TINY = ["--decoder_conf", "num_layers=2", "--decoder_conf", "dim=32", "--decoder_conf", "num_heads=2"]
TINY += ["--decoder_conf", "ffn_dim=64", "--batch_bins", "600", "--max_tokens", "24", "--num_workers", "0"]
TINY += ["--num_threads", "1", "--log_interval_updates", "10", "--optim_conf", "lr=0.01"]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("units")
    make_tokens(root / "train", 60, 0)
    make_tokens(root / "dev", 20, 1)
    return root


def train(root: Path, output: Path, *options: object) -> int:
    sets = ["--train_sets", root / "train", "--valid_sets", root / "dev"]
    return run_program("ssl_unit_lm", *sets, "--output_dir", output, *TINY, *options)


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("lm") / "exp/lm"
    assert train(root, output, "--max_update", 60) == 0
    return output


def test_it_learns_the_language_to_its_entropy(root, trained):
    result = json.loads((trained / "result.json").read_text())
    dev = TokenSet.read(root / "dev")
    assert result["seconds"] == pytest.approx(sum(map(len, dev.tokens)) * 2 / 50)
    assert result["tokens_per_second"] == pytest.approx(25)
    branching = sum(math.log2(len(NEXT[int(unit)])) for ids in dev.tokens for unit in ids[:-1])
    least = branching / result["num_tokens"]  # of transitions alone; the first unit and the end cost more
    assert least < result["bits_per_token"] < least + 0.55 < math.log2(len(NEXT) + 1)
    assert result["bits_per_second"] == pytest.approx(
        result["bits_per_token"] * result["num_tokens"] / result["seconds"]
    )
    assert result["perplexity"] == pytest.approx(2 ** result["bits_per_token"])


def test_a_stopped_run_goes_on_to_the_same_bits(root, tmp_path):
    options = ["--valid_interval_updates", 4, "--save_interval_updates", 2]
    assert train(root, tmp_path / "whole", "--max_update", 8, *options) == 0
    assert train(root, tmp_path / "parts", "--max_update", 4, "--scheduler", "constant", *options) == 0
    assert train(root, tmp_path / "other", "--max_update", 8, "--scheduler", "constant", *options) == 0
    assert train(root, tmp_path / "parts", "--max_update", 8, "--scheduler", "constant", *options) == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("parts", "other", "whole")]
    assert weights[0] == weights[1] != weights[2]


def test_no_token_sees_what_comes_after_it_nor_padding():
    config = load_unit_lm_config(None, TINY)
    model = build_unit_lm(config, 6, 25).eval()
    first = torch.tensor([[6, 0, 1, 3, 0, 2]])
    other = torch.tensor([[6, 0, 1, 3, 5, 4]])
    padded = torch.tensor([[6, 0, 1, 3, NO_LABEL, NO_LABEL]])
    objective = model.first
    with torch.no_grad():
        values = [objective.log_probs(labels)[0] for labels in (first, other, padded)]
    for value in values[1:]:
        torch.testing.assert_close(value[:3], values[0][:3])
    assert values[2][3:].tolist() == [0, 0] and values[1][3] != values[0][3]
    assert (values[0] < 0).all()


def test_probabilities_of_all_continuations_add_up_to_one(tmp_path):
    config = load_unit_lm_config(None, TINY)
    model = build_unit_lm(config, 6, 25).eval()
    pairs = {f"{a}{b}": [a, b] for a in range(6) for b in range(6)}
    pairs |= {f"{a}": [a] for a in range(6)}
    tokens = TokenSet.read(write_tokens(tmp_path / "all", pairs))
    totals = dict(zip(tokens.utt_ids, log_probs_of(model, tokens, config, torch.device("cpu")), strict=True))
    shorter = sum(math.exp(totals[str(a)]) for a in range(6))  # one unit and the end
    assert 0 < shorter < 1 and sum(map(math.exp, totals.values())) < 1
    whole = Pieces.of(tokens, 2)  # longer than a piece: every token is predicted once
    assert int(whole.lengths.sum()) == tokens.total + len(pairs)


def write_gold(path: Path, rows: list[dict[str, object]]) -> Path:
    with open(path, "w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("task", ["sWUGGY", "sBLIMP", "tSC"])
def test_pairs_of_the_layouts_are_told_apart(task, trained, tmp_path):
    """The wrong one of a pair has transitions that never occur."""
    generator, rows, sentences = random.Random(3), [], {}
    for number in range(12):
        right = sentence(generator, 12)
        wrong = [generator.randrange(6) for _ in right]
        for voice in ("A", "B"):
            for correct, units in ((1, right), (0, wrong)):
                name = f"{number}{voice}_{'correct' if correct else 'incorrect'}"
                sentences[name] = units
                row = {"filename": name, "id": number, "voice": voice, "correct": correct}
                if task == "sWUGGY":
                    row |= {"frequency": number % 2 if correct else "", "word": "", "phones": "a b", "length": 12}
                if task == "sBLIMP":
                    row |= {"type": "agreement", "subtype": f"s{number % 2}", "transcription": "x"}
                rows.append(row)
    tokens = write_tokens(tmp_path / "tokens", sentences)
    words = ["--output_dir", trained, "--score", task, "--tokens", tokens]
    gold = [] if task == "tSC" else ["--gold", write_gold(tmp_path / "gold.csv", rows)]
    assert run_program("ssl_unit_lm", *words, *gold) == 0
    result = json.loads((trained / f"{task}.json").read_text())
    assert result["accuracy"] == 1.0 and result["num_items"] == (24 if task == "tSC" else 12)
    assert set(result["groups"]) == {
        "sWUGGY": {"in vocabulary", "out of vocabulary"}, "sBLIMP": {"agreement"}, "tSC": set()
    }[task]  # fmt: skip
    lines = (trained / f"{task}.txt").read_text().split("\n")
    assert len(lines) == 49 and all(float(line.split()[1]) < 0 for line in lines[:-1])


def test_voices_then_items_count_alike_and_ties_half(tmp_path):
    rows = [
        {"filename": f"{item}{voice}{correct}.wav", "id": item, "voice": voice, "correct": correct}
        for item, voices in (("a", "XY"), ("b", "X"))
        for voice in voices
        for correct in (0, 1)
    ]
    recordings = read_gold(write_gold(tmp_path / "gold.csv", rows), "tSC")
    scores = {"aX1": 1.0, "aX0": 0.0, "aY1": 0.0, "aY0": 0.0, "bX1": 0.0, "bX0": 1.0}
    assert judge_pairs(recordings, scores, "tSC", "x")["accuracy"] == pytest.approx((0.75 + 0.0) / 2)
    with pytest.raises(UserError, match=r"no score of 1 of 6 recordings of tSC \(bX0\)"):
        judge_pairs(recordings, {key: 0.0 for key in scores if key != "bX0"}, "tSC", "x")
    with pytest.raises(UserError, match="1 items of tSC lack their right or their wrong"):
        judge_pairs(recordings[:-1], scores, "tSC", "x")


def test_mistakes_are_one_message(root, trained, tmp_path):
    other = make_tokens(tmp_path / "other", 5, 0, units_hash="another")
    model = OpenedUnitLm.open(trained)
    with pytest.raises(UserError, match="other units than the language model was trained on"):
        model.scores(TokenSet.read(other), normalize=True)
    with pytest.raises(UserError, match="no unit language model"):
        OpenedUnitLm.open(tmp_path)
    (other / "text").write_text("u000 0 1 9\n")
    with pytest.raises(UserError, match="text:1: 9 is no line of"):
        TokenSet.read(other)
    (other / "text").write_text("u000 0 1\n")
    with pytest.raises(UserError, match=r"durations.txt:1: u000 does not fit text"):
        TokenSet.read(other)
    with pytest.raises(UserError, match="no card of tokens"):
        TokenSet.read(tmp_path)
    with pytest.raises(UserError, match="needs the columns filename, type, subtype, id, correct"):
        read_gold(write_gold(tmp_path / "gold.csv", [{"filename": "a", "correct": 1}]), "sBLIMP")
    with pytest.raises(UserError, match="is no multiple of twice num_heads"):
        load_unit_lm_config(None, ["--decoder_conf", "dim=30"])
    with pytest.raises(UserError, match="does not go with tokens"):
        load_unit_lm_config(None, ["--crop", "shortest"])
    with pytest.raises(UserError, match="did you mean"):
        load_unit_lm_config(None, ["--decoder_conf", "num_layer=3"])
