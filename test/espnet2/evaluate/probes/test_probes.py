"""The probes as a part of an evaluation: rows beside their baselines, stated skips, figures kept for the next run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny_training import make_set
from tiny_units import write_experiment, write_phones
from trained import write_empty

from espnet2.evaluate.part import EvaluationRequest, read_part, run_parts
from espnet2.evaluate.probes import ctc_task
from espnet2.evaluate.probes import part as probes
from espnet2.evaluate.probes.cells import Figures
from espnet2.evaluate.probes.ctc import fit_ctc
from espnet2.evaluate.probes.linear import fit_linear
from espnet2.evaluate.probes.part import Probes, with_baselines
from espnet2.evaluate.systems import System, systems_of
from espnet2.models.find import find_model
from espnet2.units.features import LayerFeatures
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json

FIRST = ["mfcc", "logmel", "untrained", "model"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """One thread, and probes that learn for a few updates only."""
    torch.set_num_threads(1)
    monkeypatch.setattr(probes, "fit_linear", lambda *words, **names: fit_linear(*words, **names, updates=20))
    monkeypatch.setattr(ctc_task, "fit_ctc", lambda *words, **names: fit_ctc(*words, **names, passes=1))
    monkeypatch.setattr(Probes, "forecast_seconds", lambda self, request: 1.0)


def fill(folder: Path, name: str) -> None:
    """Two speakers, phones and transcripts of dump/<name>."""
    dump_set = folder / "dump" / name
    write_phones(dump_set)
    utt_ids = [line.split()[0] for line in (dump_set / "utt2spk").read_text().splitlines()]
    speakers = [f"{utt_id} speaker{number % 2}\n" for number, utt_id in enumerate(utt_ids)]
    (dump_set / "utt2spk").write_text("".join(speakers))
    (dump_set / "transcript").write_text("".join(f"{utt_id} A cab, {utt_id[-1]}\n" for utt_id in utt_ids))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("probes")
    for seed, (name, count) in enumerate({"train": 8, "dev": 4, "bare": 4}.items()):
        make_set(root, name, num_utterances=count, seed=seed)
        if name != "bare":
            fill(root, name)
    (root / "dump/bare/utt2spk").write_text("".join(f"bare-{number:03d} one\n" for number in range(4)))
    return root


@pytest.fixture
def request_for(corpus, tmp_path):
    exp = write_experiment(tmp_path / "exp/tiny")

    def make(train: str = "train", valid: str = "dev", **options) -> EvaluationRequest:
        sets = (corpus / "dump" / train, corpus / "dump" / valid)
        return EvaluationRequest(exp, *sets, systems_of(find_model(exp)), **options)

    return make


def evaluate(request: EvaluationRequest) -> dict:
    run_parts([Probes()], request, lambda line: None)
    return read_part(request.exp, "probes")


def test_by_default_a_phone_probe_with_every_baseline_beside(request_for):
    result = evaluate(request_for())
    mixed = [row for row in result["rows"] if row["layer"] is None]
    assert [row["system"] for row in mixed] == FIRST
    assert {row["task"] for row in result["rows"]} == {"phone"} and result["notes"] == []
    assert [row["layer"] for row in result["rows"] if row["layer"]] == [1, 2]
    assert len({(row["num_train"], row["num_valid"], row["majority"]) for row in result["rows"]}) == 1
    assert all(sum(row["layer_weights"]) == pytest.approx(1) for row in result["rows"])
    assert [len(row["layer_weights"]) for row in mixed] == [1, 1, 2, 2]
    assert result["rows"] == evaluate(request_for(seeds=(0,)))["rows"]


def test_full_asks_everything_and_says_what_it_cannot_ask(request_for):
    result = evaluate(request_for(effort="full", seeds=(0, 1)))
    tasks = [(row["task"], row.get("token_type"), row["system"]) for row in result["rows"] if row["layer"] is None]
    asked = (("phone", None), ("speaker", None), ("ctc", "char"), ("ctc", "phn"))
    assert tasks == [(task, kind, system) for task, kind in asked for system in FIRST]
    assert [note for note in result["notes"] if "language" in note] == [
        f"language probe: left out: no utt2lang in {request_for().train_set}"
    ]
    for row in result["rows"]:
        assert row["seeds"] == [0, 1] and ("wer" in row or row["low"] <= row["high"])
        assert row["task"] == "ctc" or 0 < row["majority"] < 1
    char, phn = (next(row for row in result["rows"] if row.get("token_type") == kind) for kind in ("char", "phn"))
    assert {"wer", "cer"} <= char.keys() and "per" in phn and char["num_valid"] == 4
    assert char["num_tokens"] == 2 + len(set("a cab 01234567"))


@pytest.mark.parametrize("contents", ["{", "[]", "{}", '{"accuracy": 0.5}', '{"layer_weights": [1.0]}'])
def test_a_damaged_figure_counts_as_not_there(tmp_path, contents):
    path = tmp_path / "cell.json"
    assert Figures.read(path) is None
    write_json(path, Figures({"wer": 0.5, "cer": 0.25}, (0.75, 0.25)).as_json())
    assert list(json.loads(path.read_text())) == ["cer", "layer_weights", "wer"]
    assert Figures.read(path) == Figures({"wer": 0.5, "cer": 0.25}, (0.75, 0.25))
    path.write_text(contents)
    assert Figures.read(path) is None


def test_sets_without_anything_give_notes_and_no_rows(request_for):
    result = evaluate(request_for("bare", "bare", effort="full"))
    assert result["rows"] == []
    left_out = " ".join(result["notes"])
    for reason in ("no phone alignments", "only one speaker", "no utt2lang", "transcript", "no g2p is chosen"):
        assert reason in left_out


def test_a_stopped_run_goes_on(request_for, monkeypatch):
    request = request_for(seeds=(0, 1))
    calls = []

    def counted(*words, **names):
        if len(calls) == 9:
            raise KeyboardInterrupt
        calls.append(names["seed"])
        return fit_linear(*words, **names, updates=20)

    monkeypatch.setattr(probes, "fit_linear", counted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(request)
    done = {path: path.stat().st_mtime_ns for path in (request.exp / "eval/.probes").glob("*.json")}
    assert len(done) == 9 and read_part(request.exp, "probes") is None
    monkeypatch.setattr(probes, "fit_linear", lambda *words, **names: fit_linear(*words, **names, updates=20))
    whole = evaluate(request)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    shutil.rmtree(request.exp / "eval/.probes")
    unbroken = Probes().run(request, lambda line: None)
    assert json.loads(json.dumps(unbroken["rows"])) == whole["rows"]


def test_features_that_spell_phones_out_give_100_percent_on_the_layer_that_does(request_for, monkeypatch):
    monkeypatch.setattr(probes, "fit_linear", lambda *words, **names: fit_linear(*words, **names, updates=300))
    extract = LayerFeatures.extract
    noise = torch.Generator().manual_seed(0)

    def cheating(self, wavs):
        layers = extract(self, wavs)
        for features in layers:
            phone = torch.tensor([int((i / 50 + 0.0125) * 10) % 3 for i in range(features.shape[1])])
            features[0] = torch.randn(features[0].shape, generator=noise)
            features[1] = 5 * torch.nn.functional.one_hot(phone, self.dim)
        return layers

    monkeypatch.setattr(LayerFeatures, "extract", cheating)
    rows = evaluate(request_for())["rows"]
    model = next(row for row in rows if row["system"] == "model" and row["layer"] is None)
    assert model["accuracy"] > 0.99 and model["layer_weights"][1] > 0.8
    by_layer = {row["layer"]: row["accuracy"] for row in rows if row["layer"]}
    assert by_layer[2] > 0.99 and by_layer[1] < 0.6


def test_settings_follow_what_figures_depend_on(request_for, corpus):
    settings = Probes().settings(request_for())
    assert settings == Probes().settings(request_for())
    others = [
        request_for(effort="full"),
        request_for(seeds=(1,)),
        request_for(frame_rate=25.0),
        request_for(options={"probes": {"linear_ctc": True}}),
        request_for(valid="bare"),
    ]
    assert all(Probes().settings(other) != settings for other in others)
    transcript = corpus / "dump/dev/transcript"
    text = transcript.read_text()
    transcript.write_text(text.replace("cab", "cat"))
    assert Probes().settings(request_for()) != settings
    transcript.write_text(text)


def test_baselines_are_added_once(tmp_path):
    model = find_model(write_empty(tmp_path / "m"))
    given = [System("model", "m", model), System("mfcc", "mine"), System("codes", "c", model)]
    assert [(system.kind, system.title) for system in with_baselines(given)] == [
        ("mfcc", "mine"), ("logmel", "log-mel"), ("untrained", "untrained"), ("model", "m")
    ]  # fmt: skip
    two = [System("model", name, find_model(write_empty(tmp_path / name))) for name in "ab"]
    assert [system.kind for system in with_baselines(two)] == ["mfcc", "logmel", "untrained", "model", "model"]


def test_unknown_options_are_refused(request_for):
    with pytest.raises(UserError, match="did you mean 'token_types'"):
        Probes().settings(request_for(options={"probes": {"token_type": "char"}}))


def test_the_forecast_counts_seeds_and_tasks(request_for, monkeypatch):
    from espnet2.evaluate.probes import forecast as probe_forecast

    monkeypatch.undo()
    monkeypatch.setattr(probe_forecast, "_timed", lambda action: 0.01)
    one, three, full = (
        Probes().forecast_seconds(request)
        for request in (request_for(), request_for(seeds=(0, 1, 2)), request_for(effort="full"))
    )
    assert 0 < one < three < 3 * one and full > 2 * one
    assert Probes().forecast_seconds(request_for(valid="bare")) == 0.0  # no phones there: nothing to do
