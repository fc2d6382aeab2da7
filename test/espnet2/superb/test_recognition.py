"""Tasks of SUPERB with sequences, trials, turns and queries: official layouts in, stated figures out."""

import csv
import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from superb_corpora import prepare_sequences
from tiny_units import run_program
from torch.nn import functional as F

from espnet2.superb.augment import Masks, SpecAugment
from espnet2.superb.base import generator_of
from espnet2.superb.ctc import BucketOrder, LstmHead
from espnet2.superb.diarization import heard_turns, permutation_loss, read_rttm
from espnet2.superb.fit import Trainer
from espnet2.superb.metrics.der import Turn
from espnet2.superb.multilingual import MlRules, halved
from espnet2.superb.registry import find_tasks, rules_of
from espnet2.superb.result import read_result
from espnet2.superb.speakers import LOST_FRAMES, XVectorHead
from espnet2.superb.spoken_queries import Documents, documents_of, query_scores
from espnet2.utils.kaldi_table import read_table

TRANSFORMER = {
    "updates": 8,
    "eval_every": 4,
    "accumulate": 1,
    "width": 16,
    "num_heads": 2,
    "num_layers": 1,
    "ffn_width": 16,
}
LSTM = {"updates": 8, "eval_every": 4, "batch_size": 4, "projection": 16, "lstm_layers": 1, "lstm_width": 8}
RULES = {
    "pr": {"updates": 8, "eval_every": 4, "batch_size": 4, "accumulate": 1},
    "asr": LSTM,
    "sf": LSTM,
    "asv": {
        "updates": 12, "eval_every": 6, "batch_size": 6, "accumulate": 1, "projection": 16, "pooled": 16,
        "learning_rate": 1e-2,
    },
    "sd": {"updates": 30, "eval_every": 15, "batch_size": 4, "accumulate": 1, "lstm_width": 16, "learning_rate": 1e-2},
    "qbe": {},
    "ml_mono": TRANSFORMER,
    "ml_multi": TRANSFORMER,
    "lid": TRANSFORMER,
}  # fmt: skip
OPTIONS = [f"{task}.{key}={value}" for task, rules in RULES.items() for key, value in rules.items()]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return prepare_sequences(tmp_path_factory.mktemp("superb"))


@pytest.fixture(scope="module")
def output(data, tmp_path_factory) -> Path:
    """Everything that lies there, with log-mel."""
    folder = tmp_path_factory.mktemp("output")
    run_program("ssl_superb", "--data", data, "--output", folder, "--systems", "logmel", "--options", *OPTIONS)
    return folder


def test_every_task_gives_its_figures(output):
    figures = {task: read_result(output, "log-mel", task)["figures"] for task in RULES}
    assert figures["qbe"]["mtwv"] == 1  # the query is a part of its document, sample by sample
    assert figures["sd"]["der"] < 0.2
    assert figures["asv"]["eer"] < 0.3
    assert all(
        value >= 0 for task in ("pr", "asr", "sf", "ml_mono", "ml_multi", "lid") for value in figures[task].values()
    )
    assert set(read_result(output, "log-mel", "ml_mono")["details"]["problems"]) == {"eng1", "deu1"}
    assert "chosen on test" in " ".join(read_result(output, "log-mel", "asv")["notes"])
    assert read_result(output, "log-mel", "qbe")["deviations"] == []
    assert read_result(output, "log-mel", "pr")["counts"] == {"train": 24, "dev": 5, "test": 5}
    table = (output / "RESULTS.md").read_text()
    titles = "PR PER ↓ | ASR WER ↓ | QbE MTWV ↑ | SF F1 ↑ | SF CER ↓ | ASV EER ↓ | SD DER ↓"
    assert (
        titles in table and "| HuBERT Base (published) | 5.41 | 6.42 | 0.0736 | 88.53 | 25.20 | 5.11 | 5.88 |" in table
    )
    assert "train 24, dev 5, test 5" in table


def test_the_preparers_keep_the_official_rules(data):
    phones, words = (read_table(data / task / "test/text")["1-7-0000"] for task in ("pr", "asr"))
    assert phones == " ".join(words.replace(" ", ""))
    assert {name.split("-")[0] for name in read_table(data / "sf/test/text")} == {"Emma"}
    assert read_table(data / "sf/train/slots")["Ivy-snips-train-0"] == "O track artist"
    assert set(read_table(data / "qbe/docs/wav.scp")) == {"d0", "d1", "d2", "d3"}  # not the Albanian one
    assert read_table(data / "qbe/dev/matches") == {"dev0": "d0", "dev1": "d1", "dev2": "d1"}
    turns = sorted(read_rttm(data / "sd/train/rttm")["train1"])
    assert [turn.speaker for turn in turns] == ["x", "y"] and turns[0][1:] == pytest.approx((0.1, 1.2))
    assert read_table(data / "ml_multi/train/text")["mls_eng_10min_train_000000"] == "AB"
    assert set(read_table(data / "lid/test/utt2lang").values()) == {"eng", "deu"}
    assert sum(value.endswith(" target") for value in read_table(data / "asv/test/trials").values()) == 30


def test_the_page_has_the_table_and_its_data_beside_it(output):
    page = (output / "report.html").read_text()
    assert all(f"{title}</" in page for title in ("log-mel", "HuBERT Base (published)")) and "chosen on test" in page
    with open(output / "report.csv", newline="") as stream:
        figures = {(row["task"], row["metric"]): row for row in csv.DictReader(stream)}
    assert len(figures) == len(RULES) + 1  # SF has two
    assert float(figures["sd", "der"]["value"]) == read_result(output, "log-mel", "sd")["figures"]["der"]
    assert figures["asr", "wer"]["is_official"] == "False" and "updates 8" in figures["asr", "wer"]["rules"]
    assert json.loads((output / "report.json").read_text())["published"]["HuBERT Base"]["asr.wer"] == "6.42"


def test_a_part_of_an_official_corpus_is_said_and_has_a_star(output):
    result = read_result(output, "log-mel", "asr")
    assert result["official_data"] and "test: 5 utterances (official 2620)" in result["deviations"]
    assert "test: 5 utterances (official 2620)" in (output / "RESULTS.md").read_text()


@pytest.mark.parametrize("task", ["pr", "asr", "ml_multi"])
def test_what_is_written_in_one_layer_is_read_off_the_mix(data, task):
    """Features that spell the text, in the second of three layers: the head reads it, and its weight rises."""
    options = {"updates": 120, "eval_every": 60, "batch_size": 8, "accumulate": 1, "learning_rate": 2e-2}
    if task != "pr":
        options |= {"specaugment": False}
    kind = find_tasks([task])[0]
    rules = rules_of(kind, {task: {**{k: v for k, v in RULES[task].items() if k not in options}, **options}}, "test")
    (problem,) = kind.problems(data / task, rules, 16_000)
    repeat = 6 if task == "ml_multi" else 3  # frames of a symbol, for a head at half the rate

    def read(example):
        frames = F.one_hot(example.target, 12).float().repeat_interleave(repeat, 0)
        frames = F.pad(frames.unflatten(0, (-1, repeat)), (0, 0, 0, repeat)).flatten(0, 1)  # a pause behind each
        noise = torch.randn(2, *frames.shape, generator=generator_of(0, example.utt_id))
        return torch.stack([noise[0], 4 * frames, noise[1]])

    trainer = Trainer(problem, rules, rules.learning_rate, read, num_layers=3, dim=12, seed=0)
    fitted = trainer.fit(kind.metrics[0], None, lambda line: None)
    assert fitted.dev[kind.metrics[0].key] < 0.2
    assert fitted.layer_weights[1] == max(fitted.layer_weights) > 0.34


@pytest.mark.parametrize("kind", ["lstm", "transformer", "xvector"])
def test_padding_changes_nothing(kind):
    torch.manual_seed(0)
    features, lengths = torch.randn(2, 40, 6), torch.tensor([40, 23])
    if kind == "lstm":
        head = LstmHead(6, 5, 4, num_layers=2, width=3, dropout=0.2)
    elif kind == "transformer":
        head = MlRules(width=8, num_heads=2, ffn_width=8, projection=9).head(6, 4)
    else:
        head = XVectorHead(6, width=5, pooled=7, num_speakers=3, scale=30.0, margin=0.4)
    head.eval()
    call = head.embed if kind == "xvector" else head
    together, alone = call(features, lengths), call(features[1:, :23], lengths[1:])
    if kind == "xvector":
        assert torch.allclose(together[1], alone[0], atol=1e-6)
        return
    count = int(head.output_lengths(lengths)[1])
    assert alone.shape[1] == count and torch.allclose(together[1, :count], alone[0], atol=1e-5)
    assert kind == "lstm" or (halved(torch.tensor([1, 7, 8, 9])).tolist() == [1, 1, 1, 2])


def test_the_margin_loss_is_that_of_the_paper():
    """Wang et al. 2018, equation 6, written out."""
    torch.manual_seed(0)
    head = XVectorHead(6, width=5, pooled=7, num_speakers=3, scale=30.0, margin=0.4)
    features, lengths, speakers = torch.randn(2, 30, 6), torch.tensor([30, 30]), torch.tensor([2, 0])
    embedded = F.normalize(F.relu(head.second(head.embed(features, lengths))), dim=1)
    cosines = embedded @ F.normalize(head.speakers, dim=0)
    losses = []
    for row, speaker in zip(cosines, speakers.tolist(), strict=True):
        right = torch.exp(30 * (row[speaker] - 0.4))
        others = sum(torch.exp(30 * value) for number, value in enumerate(row) if number != speaker)
        losses.append(-torch.log(right / (right + others)))
    assert torch.allclose(head(features, lengths, speakers), torch.stack(losses).mean(), rtol=1e-4)
    assert LOST_FRAMES == 14  # s3prl, sv_voxceleb1/expert.py


def test_the_loss_of_turns_takes_the_best_order():
    torch.manual_seed(0)
    logits, truth, lengths = torch.randn(2, 5, 3), (torch.rand(2, 5, 3) > 0.5).float(), torch.tensor([5, 3])
    expected = 0.0
    for row, length in enumerate(lengths.tolist()):
        orders = [truth[row, :length][:, list(order)] for order in permutations(range(3))]
        expected += min(
            float(F.binary_cross_entropy_with_logits(logits[row, :length], order) * length) for order in orders
        )
    assert float(permutation_loss(logits, truth, lengths)) == pytest.approx(expected / 8, rel=1e-5)


def test_frames_become_turns():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.6], [0.4, 0.6], [0.9, 0.1]])
    assert heard_turns(probabilities, 0.5, 1, 2.0) == [Turn("0", 0.0, 1.0), Turn("0", 1.5, 2.0), Turn("1", 0.5, 1.5)]
    assert heard_turns(probabilities, 0.3, 1, 2.0)[0] == Turn("0", 0.0, 2.0)
    gap = np.ones((30, 1))
    gap[10:13] = 0
    assert heard_turns(gap, 0.5, 11, 10.0) == [Turn("0", 0.0, 3.0)]  # shorter than half the filter


def naive_cost(distance: np.ndarray) -> float:
    """The recursion of the `asymmetric` pattern, cell by cell."""
    queries, documents = distance.shape
    cost = np.full((queries, documents), np.inf)
    cost[0] = distance[0]
    for i in range(1, queries):
        for j in range(documents):
            cost[i, j] = distance[i, j] + min(cost[i - 1, k] for k in (j, j - 1, j - 2) if k >= 0)
    return float(cost[-1].min() / queries)


def test_warping_is_that_of_the_recursion():
    generator = np.random.default_rng(0)
    query = generator.standard_normal((6, 4))
    frames = {name: generator.standard_normal((count, 4)) for name, count in (("a", 9), ("b", 1), ("c", 7), ("d", 2))}
    costs = {}
    for name, document in frames.items():
        cosine = (query / np.linalg.norm(query, axis=1)[:, None]) @ (
            document / np.linalg.norm(document, axis=1)[:, None]
        ).T
        distance = np.exp(1 - cosine) - 1
        span = np.maximum(distance.max(1) - distance.min(1), 1e-9)[:, None]
        costs[name] = naive_cost((distance - distance.min(1)[:, None]) / span)
    values = -np.array(list(costs.values()))
    expected = dict(zip(costs, (values - values.mean()) / values.std(), strict=True))
    assert query_scores(query, [Documents(frames)]) == pytest.approx(expected)
    assert query_scores(query, documents_of(frames)) == pytest.approx(expected)
    assert set(query_scores(query[:4], [Documents(frames)]).values()) == {0.0}  # too short, as s3prl has it


def test_masks_stay_inside_and_change_with_the_seed():
    features, lengths = torch.ones(2, 50, 20), torch.tensor([50, 30])
    augment = SpecAugment(warp_window=5, frequency=Masks(2, 8), time=Masks(2, 10))
    torch.manual_seed(1)
    first = augment(features, lengths)
    assert first.shape == features.shape and 0 < float((first == 0).float().mean()) < 0.9
    assert not first[1, 30:].any()  # nothing behind the end
    torch.manual_seed(1)
    assert torch.equal(first, augment(features, lengths))
    assert not torch.equal(first, augment(features, lengths))


def test_buckets_hold_neighbours():
    costs = [5, 1, 9, 3, 7, 8]
    order = BucketOrder(costs, 3, seed=0, half_from=float("inf"))
    buckets = [sorted((costs[index] for index in order.batch(number)), reverse=True) for number in range(6)]
    ranked = sorted(costs, reverse=True)
    assert all(bucket in [ranked[start : start + 3] for start in range(4)] for bucket in buckets)
    assert len(BucketOrder(costs, 3, seed=0, half_from=0).batch(0)) == 1
