"""Fine-tuning with CTC: a model learns to spell, resumes exactly, leaves frozen what is frozen, and stays a model."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_training import SAMPLE_RATE, make_set
from tiny_units import run_program, write_experiment
from trained import load_path

from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.finetune.config import load_finetune_config
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.tasks.build import read_weights
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import write_table

LETTERS = {"a": 300, "b": 1500, "c": 4000}  # Hz: each letter is a tone
TONE_SECONDS = 0.2
QUICK = ["--max_update", 6, "--batch_bins", 48000, "--num_workers", 0, "--num_threads", 1]
QUICK += ["--log_interval_updates", 2, "--valid_interval_updates", 3, "--save_interval_updates", 2]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def write_tones(root: Path, name: str, count: int, seed: int) -> None:
    """dump/<name> of tones, each a letter of the transcript."""
    make_set(root, name, num_utterances=count, seed=seed)
    random = np.random.default_rng(seed)
    dump_set = root / "dump" / name
    index = AudioIndex.open(dump_set)
    time = np.arange(round(TONE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    rows, texts = [], []
    for row in range(len(index)):
        word = "".join(random.choice(list(LETTERS), random.integers(4, 7)))
        tones = [0.3 * np.sin(2 * np.pi * LETTERS[letter] * time) * np.hanning(len(time)) for letter in word]
        wav = np.concatenate(tones) + 0.001 * random.standard_normal(len(time) * len(word))
        soundfile.write(index.path(row), wav, SAMPLE_RATE)
        rows.append((index.utt_id(row), len(wav), wav))
        texts.append((index.utt_id(row), word.upper() + "."))
    write_table(dump_set / "utt2num_samples", ((utt, str(length)) for utt, length, _ in rows))
    write_table(dump_set / "utt2stats", ((utt, f"{wav.mean():.9g} {wav.var():.9g}") for utt, _, wav in rows))
    write_table(dump_set / "transcript", texts)
    build_index(dump_set)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tones")
    for seed, (name, count) in enumerate({"train": 40, "dev": 8}.items()):
        write_tones(root, name, count, seed)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("model") / "exp/tiny", frontend="conv")


def tune(corpus: Path, model: Path, output: Path, *options: object) -> dict:
    sets = ["--train_sets", corpus / "dump/train", "--valid_sets", corpus / "dump/dev"]
    assert run_program("ssl_finetune", "--model", model, *sets, "--output_dir", output, *QUICK, *options) == 0
    return json.loads((output / "wer.json").read_text())


def test_learns_to_spell(corpus, tmp_path):
    """An fbank model, all of it tuned: letters are tones, so few updates do."""
    experiment = write_experiment(tmp_path / "exp/fbank")
    options = ["--max_update", 100, "--optim_conf", "lr=0.01", "--scheduler", "linear", "--log_interval_updates", 50]
    options += ["--valid_interval_updates", 100, "--save_interval_updates", 1000, "--dropout", 0]
    figures = tune(corpus, experiment, tmp_path / "exp/tuned", *options)
    assert figures["cer"] < 0.3 and figures["num_utterances"] == 8
    low, high = figures["cer_interval"]
    assert 0 <= low <= figures["cer"] <= high and high > low
    said, heard = ((tmp_path / "exp/tuned/ctc" / name).read_text().splitlines() for name in ("ref", "hyp"))
    assert len(said) == len(heard) == 8 and set(said[0].split()[1]) <= set("abc")
    rows = [json.loads(line) for line in (tmp_path / "exp/tuned/ctc/history.jsonl").read_text().splitlines()]
    rates = [row.get("token_error_rate") for row in rows]
    assert [rate is not None for rate in rates] == [row["dataset"] == "valid" for row in rows]
    assert rates[-1] == pytest.approx(figures["cer"])  # one word each, and a token is a letter
    last = (tmp_path / "exp/tuned/ctc/train.log").read_text().splitlines()[-1]
    assert "error rates of 8 utterances of" in last and f"character {100 * figures['cer']:.1f} %" in last
    assert str(tmp_path / "exp/tuned/ctc/hyp") in last


def test_the_tuned_model_is_a_model_like_any_other(corpus, model, tmp_path):
    output = tmp_path / "exp/tuned"
    tune(corpus, model, output, "--freeze_encoder_updates", 1)
    before, after = load_path(model).model.state_dict(), load_path(output).model.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in changed} == {"frontend", "encoder"}
    assert not any(name.startswith("frontend.blocks") for name in changed)  # the features stay throughout
    assert any(name.startswith("frontend.projection") for name in changed)
    tuned = read_weights(output / "ctc/checkpoints/best_token_error_rate/model.safetensors")
    assert all(torch.equal(tuned[name], after[name]) for name in changed)
    encoder = SpeechEncoder.from_pretrained(output)
    assert encoder(torch.zeros(1, 16000)).layers[2].shape == (1, 49, 16)


def test_frozen_parts_wait(corpus, model, tmp_path):
    tune(corpus, model, tmp_path / "only_output", "--freeze_encoder_updates", 6)
    tune(corpus, model, tmp_path / "all", "--freeze_encoder_updates", 0, "--freeze_frontend_updates", 2)
    before = load_path(model).model.state_dict()
    changed = {}
    for name in ("only_output", "all"):
        after = load_path(tmp_path / name).model.state_dict()
        changed[name] = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert changed["only_output"] == set()
    assert any(name.startswith("frontend.blocks") for name in changed["all"])


def test_a_stopped_tuning_goes_on_as_if_unbroken(corpus, model, tmp_path):
    tune(corpus, model, tmp_path / "whole", "--scheduler", "constant", "--freeze_encoder_updates", 2)
    for updates in (4, 6):
        options = ["--scheduler", "constant", "--freeze_encoder_updates", 2, "--max_update", updates]
        tune(corpus, model, tmp_path / "broken", *options)
    whole, broken = (read_weights(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    assert "going on from update 4 of 6" in (tmp_path / "broken/ctc/train.log").read_text()
    with pytest.raises(UserError, match="token_type"):
        tune(corpus, model, tmp_path / "broken", "--token_type", "bpe", "--nbpe", 8)


def test_utterances_that_do_not_fit_are_left_out_and_still_tested(corpus, model, tmp_path):
    for name in ("train", "dev"):
        transcript = corpus / "dump" / name / "transcript"
        text = transcript.read_text()
        lines = text.splitlines()
        lines[0] = f"{lines[0].split()[0]} {'abc' * 100}"
        lines[1] = lines[1].split()[0]
        (tmp_path / name).write_text(text)
        transcript.write_text("\n".join(lines) + "\n")
    try:
        figures = tune(corpus, model, tmp_path / "tuned")
    finally:
        for name in ("train", "dev"):
            (corpus / "dump" / name / "transcript").write_text((tmp_path / name).read_text())
    assert figures["num_utterances"] == 7
    log = (tmp_path / "tuned/ctc/train.log").read_text()
    assert "train: 2 of 40 utterances left out" in log and "valid: 2 of 8 utterances left out" in log


def test_a_missing_package_is_named_before_the_training(corpus, model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(UserError, match="pip install jiwer"):
        tune(corpus, model, tmp_path / "tuned")
    assert not (tmp_path / "tuned").exists()


def test_mistakes(corpus, model, tmp_path):
    with pytest.raises(UserError, match="crop: shortest does not go"):
        load_finetune_config(None, ["--crop", "shortest"])
    with pytest.raises(UserError, match="did you mean 'token_type'"):
        load_finetune_config(None, ["--token_typ", "char"])
    with pytest.raises(UserError, match="'crop' holds the value 'pad', not a section"):
        load_finetune_config(None, ["--crop", "pad", "--crop.x", "1"])
    with pytest.raises(UserError, match="how long to train"):
        tune(corpus, model, tmp_path / "a", "--max_update", "null")
    with pytest.raises(UserError, match="no trained model"):
        tune(corpus, tmp_path / "none", tmp_path / "b")
    make_set(tmp_path, "silent", num_utterances=2)
    sets = ["--train_sets", tmp_path / "dump/silent", "--valid_sets", corpus / "dump/dev"]
    with pytest.raises(UserError, match=r"needs transcripts: no .*silent/transcript"):
        run_program("ssl_finetune", "--model", model, *sets, "--output_dir", tmp_path / "c", *QUICK)


def test_the_best_checkpoint_is_the_result_and_test_sets_have_the_rates(corpus, model, tmp_path):
    options = ["--keep_nbest_models", 3, "--valid_interval_updates", 1, "--optim_conf", "lr=0.05"]
    figures = tune(corpus, model, tmp_path / "best", *options, "--test_sets", corpus / "dump/train")
    assert figures["num_utterances"] == 40 and figures["test_sets"] == [str(corpus / "dump/train")]
    run = tmp_path / "best/ctc"
    assert figures["checkpoint"] == (run / "checkpoints/best_token_error_rate").resolve().name
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    rates = {row["update"]: row["token_error_rate"] for row in rows if row["dataset"] == "valid"}
    assert figures["checkpoint"] == f"update_{min(rates, key=lambda update: (rates[update], update))}"
    tuned = read_weights(run / "checkpoints" / figures["checkpoint"] / "model.safetensors")
    result = load_path(tmp_path / "best").model.state_dict()
    assert all(torch.equal(value, result[name]) for name, value in tuned.items() if name in result)
    again = tune(corpus, model, tmp_path / "best", *options, "--result", "last")  # trains no more
    assert again["checkpoint"] == "update_6" and again["num_utterances"] == 8
    assert "complete before: 6 of 6 updates" in (run / "train.log").read_text()


def test_adapters_are_tuned_alone_saved_apart_and_merged(corpus, model, tmp_path):
    options = ["--scheduler", "constant", "--freeze_encoder_updates", 1, "--adapt", "lora", "--adapt_conf", "rank=2"]
    tune(corpus, model, tmp_path / "whole", *options)
    for updates in (4, 6):
        tune(corpus, model, tmp_path / "broken", *options, "--max_update", updates)
    whole, broken = (read_weights(tmp_path / name / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    before = load_path(model).model.state_dict()
    changed = {name for name, value in whole.items() if not torch.equal(value, before[name])}
    assert whole.keys() == before.keys()
    targets = ("qkv.weight", "output.weight")
    assert changed == {name for name in before if name.startswith("encoder.") and name.endswith(targets)}
    wavs = torch.zeros(1, 16000)
    ours = SpeechEncoder.from_pretrained(f"{tmp_path}/whole/adapter.safetensors@{model}")(wavs).layers
    theirs = SpeechEncoder.from_pretrained(tmp_path / "whole")(wavs).layers
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert "adapt: lora of rank 2 in 4 linear layers" in (tmp_path / "whole/ctc/train.log").read_text()
    with pytest.raises(UserError, match=r"adapt_conf: targets: .*'query'"):
        tune(corpus, model, tmp_path / "wrong", "--adapt", "lora", "--adapt_conf", "targets=[query]")
