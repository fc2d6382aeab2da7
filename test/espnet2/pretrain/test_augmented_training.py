"""Trainings with `augment:` in; exact resume, equality of one and two ranks, clean validation, clear errors, out."""

from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tiny_training import TINY_CONFIG, command_line, make_corpus, write_config
from training_faults import signal_at_event
from training_process import run_ranks, run_training

import espnet2.pretrain.inputs as inputs_module
from espnet2.pretrain.inputs import make_data, open_inputs
from espnet2.tasks.build import build, with_num_classes
from espnet2.tasks.config import load_config, resolve_config
from espnet2.train.data import plan_steps
from espnet2.utils.kaldi_table import write_table

SETTINGS = {
    "max_update": 8,
    "crop": "shortest",
    "batch_bins": 24000,
    "accum_grad": 2,
    "save_interval_updates": 2,
    "valid_interval_updates": 8,
    "sampling": {"shuffle": "shards", "buffer_utterances": 8},
    "quadratic_seconds": 4.0,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("augmented")
    wav = np.random.default_rng(0).standard_normal(3000)
    soundfile.write(root / "noise.wav", 0.1 * wav, 16000)
    write_table(root / "noise.scp", [("noise", str(root / "noise.wav"))])
    augment = {
        "speed": {},
        "mixing": {"probability": 0.5},
        "noise": {"noise_scp": str(root / "noise.scp")},
        "reverb": {"rir_scp": str(root / "noise.scp")},
    }
    return root, make_corpus(root, **SETTINGS, augment=augment)


@pytest.fixture(scope="module")
def unbroken(corpus):
    root, paths = corpus
    assert run_training(command_line(paths, root, root / "unbroken"), log=root / "unbroken.log") == 0
    return root / "unbroken"


def test_the_log_tells_what_is_done_to_the_audio(unbroken):
    text = (unbroken / "train.log").read_text()
    assert "order: 24 blocks of at most 1 utterances that lie together, mixed in a buffer of 8 utterances" in text
    assert "augment: speed 0.9, 1, 1.1; 50% in one of 1 rooms; 50% mixed with another utterance" in text


def test_killed_run_equals_unbroken_run(corpus, unbroken):
    """Killed in the sixth update; goes on with another number of loader processes."""
    root, paths = corpus
    words = command_line(paths, root, root / "killed")
    prepare = partial(signal_at_event, 40)
    assert run_training(words, log=root / "killed.log", prepare=prepare) < 0
    assert (root / "killed/checkpoints/latest").exists(), "killed before the first checkpoint: nothing is tested"
    assert run_training([*words, "--num_workers", "2"], log=root / "resumed.log") == 0
    assert "going on from update" in (root / "resumed.log").read_text()
    files = [folder / "checkpoints/latest/model.safetensors" for folder in (root / "killed", unbroken)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_two_ranks_equal_one_rank(corpus, unbroken):
    root, paths = corpus
    words = [*command_line(paths, root, root / "ddp"), "--batch_bins", "48000", "--accum_grad", "1"]
    assert run_ranks(words, 2, log=root / "ddp") == [0, 0], (root / "ddp.0.log").read_text()[-3000:]
    ours, theirs = (load_file(folder / "checkpoints/latest/model.safetensors") for folder in (root / "ddp", unbroken))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=2e-6)


def data_of(root, paths, **changes):
    config = resolve_config({**TINY_CONFIG, **load_config(root / "conf.yaml").model_dump(), **changes})
    inputs = open_inputs(config, paths)
    model = build(with_num_classes(config, inputs.num_classes))
    return make_data(config, inputs, model, plan_steps(config, 1)), inputs


def test_validation_is_never_augmented(corpus):
    data, inputs = data_of(*corpus)
    assert data.train.augment is inputs.augment and data.valid.augment is None
    shard = data.valid_shards[0]
    batch = data.valid[shard].batch
    assert batch.mixed is None
    for row, wav, length in zip(shard.rows, batch.wavs, batch.wav_lengths, strict=True):
        samples, _ = soundfile.read(inputs.valid.path(int(row)), dtype="float32")
        np.testing.assert_array_equal(wav[:length].numpy(), samples)


def test_batches_cropped_to_their_shortest_are_never_padded(corpus):
    data, _ = data_of(*corpus, augment={"speed": {"factors": [0.7, 1.4]}})
    for position in range(len(data.sampler.plan(0))):
        rows, num_samples = data.sampler.plan(0).shard(position)
        assert (data.train.index.num_samples[rows] >= 1.4 * num_samples).all()


def test_training_audio_must_be_long_enough_at_the_highest_speed(corpus, monkeypatch):
    asked = []
    monkeypatch.setattr(inputs_module, "check_lengths", lambda index, samples, **_: asked.append(samples))
    data_of(*corpus, augment={"speed": {"factors": [0.8, 1.25]}})
    train, valid = asked
    assert train == -(-valid * 5 // 4) > valid


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--augment.noise.noise_scp", "gone.scp"], "augment.noise.0.noise_scp: gone.scp: no such file"),
        (["--augment.mixing.probabilty", "0.1"], "did you mean 'probability'"),
        (["--augment.reverb.probability", "0.4"], "augment.reverb.probability: 0.5 in the checkpoint, 0.4 now"),
    ],
)
def test_wrong_settings_end_the_command_before_it_trains(corpus, unbroken, words, message):
    root, paths = corpus
    log = root / "refused.log"
    before = sorted(path.name for path in unbroken.iterdir())
    assert run_training([*command_line(paths, root, unbroken), *words], log=log) == 2
    text = log.read_text()
    assert message in text and "Traceback" not in text
    assert sorted(path.name for path in unbroken.iterdir()) == before


def test_other_noises_are_another_run(corpus, unbroken):
    root, paths = corpus
    scp = root / "noise.scp"
    before = scp.read_text()
    scp.write_text(before.replace("noise ", "renamed ", 1))
    try:
        assert run_training(command_line(paths, root, unbroken), log=root / "other.log") == 2
    finally:
        scp.write_text(before)
    assert "data.augment: " in (root / "other.log").read_text()


def test_a_section_without_keys_is_nothing(corpus, tmp_path):
    path = write_config(tmp_path, augment=None)
    assert load_config(path).augment == load_config(write_config(tmp_path, "bare")).augment
