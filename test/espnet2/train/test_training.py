"""Whole tiny trainings in; checkpoints, logs, curves and clear errors out."""

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import NUM_CLASSES, command_line, make_corpus, write_config
from training_faults import check_links_at_save, fill_disk, poison, shrink_disk
from training_process import run_training

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import pack_labels


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("training")
    return root, make_corpus(root)


def train(corpus, name: str, *words: str, prepare=None, status: int = 0, **config) -> tuple[Path, str]:
    """Train in exp/<name>; the folder and what the run printed."""
    root, paths = corpus
    write_config(root, name, **config)
    output, log = root / name, root / f"{name}.log"
    exit_status = run_training([*command_line(paths, root, output, name), *words], log=log, prepare=prepare)
    text = log.read_text()
    assert exit_status == status, text[-3000:]
    if status == 2:
        assert "Traceback" not in text
    return output, text


@pytest.fixture(scope="module")
def finished(corpus):
    criteria = [["valid", "masked_accuracy", "max"], ["valid", "loss", "min"]]
    settings = {"max_update": 12, "valid_interval_updates": 2, "keep_nbest_models": 3, "best_model_criterion": criteria}
    return train(corpus, "finished", **settings)


def validations(output: Path) -> list[dict]:
    latest = output / "checkpoints/latest/state/training.json"
    return json.loads(latest.read_text())["state"]["validations"]


def test_log_has_one_readable_line_per_interval(finished):
    output, _ = finished
    lines = [line for line in (output / "train.log").read_text().splitlines() if "grad norm" in line]
    assert [line.split("update ")[1].split("/")[0] for line in lines] == ["2", "4", "6", "8", "10", "12"]
    for figure in (
        "loss",
        "masked_accuracy",
        "unmasked_accuracy",
        "clipped",
        "lr",
        "audio/s",
        "audio/update",
        "wait",
        "ETA",
    ):
        assert figure in lines[-1]
    text = (output / "train.log").read_text()
    for fact in ("parameters", "padding", "threads", "checkpoints: ", "s of audio"):
        assert fact in text


def test_curves_and_tensorboard_are_written(finished):
    output, _ = finished
    names = {path.name for path in (output / "images").iterdir()}
    assert {"loss.png", "masked_accuracy.png", "grad_norm.png", "learning_rate.png", "audio_per_second.png"} <= names
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in (output / "images").iterdir())
    assert list((output / "tensorboard").glob("events*"))


def test_checkpoints_kept_linked_and_averaged(finished):
    output, _ = finished
    by_accuracy = sorted(
        validations(output), key=lambda validation: (-validation["valid"]["masked_accuracy"], validation["update"])
    )
    by_loss = sorted(validations(output), key=lambda validation: (validation["valid"]["loss"], validation["update"]))
    folder = output / "checkpoints"
    assert os.readlink(folder / "latest") == "update_12"
    assert os.readlink(folder / "best_masked_accuracy") == f"update_{by_accuracy[0]['update']}"
    assert os.readlink(folder / "best_loss") == f"update_{by_loss[0]['update']}"
    best = [validation["update"] for validation in by_accuracy[:3]]
    kept = {*best, *(validation["update"] for validation in by_loss[:3])}
    there = {int(path.name[7:]) for path in folder.glob("update_*")}
    assert there == kept | {10, 12}
    assert sorted(path.parent.name for path in folder.glob("update_*/state")) == ["update_10", "update_12"]
    assert json.loads((folder / "ave_3best/average.json").read_text())["updates"] == sorted(best)
    average = load_file(folder / "ave_3best/model.safetensors")
    parts = [load_file(folder / f"update_{update}/model.safetensors") for update in best]
    for name, value in average.items():
        torch.testing.assert_close(value, torch.stack([part[name] for part in parts]).mean(0))
    assert (folder / "ave_3best_loss/model.safetensors").exists()


def test_best_link_never_leads_nowhere(corpus):
    """Not even while a better checkpoint is being written, with several saves between two validations."""
    settings = {"max_update": 12, "valid_interval_updates": 4, "save_interval_updates": 1, "optim_conf": {"lr": 1e-2}}
    output, _ = train(corpus, "links", prepare=check_links_at_save, **settings)
    figures = [validation["valid"]["loss"] for validation in validations(output)]
    assert figures == sorted(figures, reverse=True), "each validation must beat the one before, or nothing is tested"
    assert sorted(path.name for path in (output / "checkpoints").glob("update_*")) == ["update_11", "update_12"]


def test_lowered_end_before_the_first_validation(corpus):
    """What was saved beyond it stays, is validated once and marked as done."""
    settings = {"valid_interval_updates": 50, "save_interval_updates": 1}
    output, _ = train(
        corpus, "lowered", prepare=partial(poison, (3,)), max_update=50, max_nonfinite=1, status=2, **settings
    )
    output, _ = train(corpus, "lowered", max_update=2, max_nonfinite=1, **settings)
    assert json.loads((output / "train.done").read_text())["updates"] == 3
    assert [validation["update"] for validation in validations(output)] == [3]


def test_one_process_has_nobody_to_share_with(corpus):
    output, text = train(corpus, "alone", "--fsdp", "true", max_update=1)
    assert "1 x one process" in text and (output / "train.done").exists()


def test_done_marker_and_config(finished):
    output, _ = finished
    done = json.loads((output / "train.done").read_text())
    assert done["updates"] == 12 and done["valid"] == validations(output)[-1]["valid"]
    assert f"num_classes: {NUM_CLASSES}" in (output / "config.yaml").read_text()


def test_no_pickle_in_weights_and_loss_falls(corpus):
    output, _ = train(
        corpus, "long", max_update=60, valid_interval_updates=30, optim_conf={"lr": 5e-3}, scheduler="constant"
    )
    first, last = validations(output)[0], validations(output)[-1]
    assert last["train"]["loss"] < first["train"]["loss"]


def test_run_script_goes_on(corpus, finished):
    """The written run.sh works from any folder, and takes further overrides."""
    output, _ = finished
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    script = [str(output / "run.sh"), "--max_update", "14"]
    result = subprocess.run(script, cwd="/", env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "going on from update 12 of 14" in result.stderr


def test_early_stop(corpus):
    """A learning rate of nearly zero cannot beat the first validation by accuracy."""
    output, _ = train(
        corpus,
        "patience",
        max_update=40,
        valid_interval_updates=2,
        patience=3,
        optim_conf={"lr": 1e-12},
        best_model_criterion=[["valid", "masked_accuracy", "max"]],
    )
    assert json.loads((output / "train.done").read_text())["updates"] == 8


def test_max_epoch_counts_passes(corpus):
    output, text = train(corpus, "epochs", max_update=None, max_epoch=2, tracker="none")
    per_epoch = int(text.split(" micro-batches per epoch")[0].split("; ")[-1])
    assert json.loads((output / "train.done").read_text())["updates"] == 2 * per_epoch
    assert (output / "history.jsonl").exists() and not (output / "tensorboard").exists()


def test_how_long_must_be_said(corpus):
    _, text = train(corpus, "endless", max_update=None, status=2)
    assert "give max_update or max_epoch" in text


def test_validation_is_the_same_with_any_batch_and_seed(corpus):
    """Same start (frozen weights): whole utterances and fixed draws leave nothing to chance."""
    first, _ = train(corpus, "valid0", max_update=2, optim_conf={"lr": 1e-12})
    source = f"{first}:::"
    second, _ = train(corpus, "valid1", max_update=2, seed=5, init_param=[source], optim_conf={"lr": 1e-12})
    ours, theirs = validations(first)[-1]["valid"], validations(second)[-1]["valid"]
    assert ours["masked_accuracy"] == theirs["masked_accuracy"]
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)


def test_init_and_freeze(corpus, finished):
    source, _ = finished
    output, _ = train(
        corpus, "frozen", max_update=2, init_param=[f"{source}:encoder:encoder"], freeze_param=["encoder"]
    )
    ours = load_file(output / "checkpoints/latest/model.safetensors")
    theirs = load_file(source / "checkpoints/latest/model.safetensors")
    encoder = [name for name in ours if name.startswith("encoder.")]
    assert encoder and all(torch.equal(ours[name], theirs[name]) for name in encoder)
    assert not torch.equal(ours["objectives.hubert.mask_embedding"], theirs["objectives.hubert.mask_embedding"])


def test_training_goes_on_from_a_whole_model(corpus, finished):
    source, _ = finished
    output, _ = train(corpus, "went_on", max_update=2, init_from=str(source), seed=5, optim_conf={"lr": 1e-12})
    ours = load_file(output / "checkpoints/latest/model.safetensors")
    for name, value in load_file(source / "checkpoints/latest/model.safetensors").items():
        torch.testing.assert_close(ours[name], value, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--freeze_param", "encodr"], "freeze_param encodr: no such parameter"),
        (["--init_param", "nowhere"], "init_param nowhere: no weights at"),
        (["--batch_binz", "1"], "did you mean 'batch_bins'"),
        (["--tracker", "wandb tensorbord"], "unknown tracker 'tensorbord'; did you mean 'tensorboard'"),
        (["--train_labels", ""], "needs labels"),
        (["--ngpu", "1"], "--ngpu 0"),
        (["--max_seconds"], "has no value"),
        (["--min_seconds", "19"], "min_seconds"),
        (["--scheduler_conf", "warmup_steps=8"], "warmup_steps 8 must be below"),
        (["--best_model_criterion", "[[valid, acc, max]]"], "no figure 'acc'; known are loss, loss_masked, masked_acc"),
    ],
)
def test_mistakes_on_the_command_line(corpus, words, expected):
    _, text = train(corpus, "mistake", *words, status=2)
    assert expected in text
    assert not (corpus[0] / "mistake/checkpoints").exists()


def test_labels_of_another_rate_are_refused(corpus):
    root, paths = corpus
    index = AudioIndex.open(paths.train_sets[0])
    rows = ([0, 1] * 20 for _ in range(len(index)))
    pack_labels(rows, root / "slow", num_classes=NUM_CLASSES, label_rate=25, index_hash=index.hash)
    _, text = train(corpus, "slow_labels", "--train_labels", str(root / "slow"), status=2)
    assert "labels per second" in text


def test_nonfinite_update_is_named_and_leaves_no_trace(corpus):
    output, text = train(corpus, "poisoned", prepare=partial(poison, (2, 3)), max_update=6)
    assert text.count("loss or gradient is not finite; skipped; utterances train-") == 2
    assert "update 3 (micro-batch 2)" in text and "update 3 (micro-batch 3)" in text
    training = json.loads((output / "checkpoints/latest/state/training.json").read_text())
    assert training["state"]["update"] == 6 and training["state"]["cursor"]["number"] == 8
    assert training["state"]["skipped"] == 2 and training["state"]["skipped_in_row"] == 0
    weights = load_file(output / "checkpoints/latest/model.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values() if value.is_floating_point())
    steps = torch.load(output / "checkpoints/latest/state/optimizer.pt")["optimizer"]["state"]
    assert {float(state["step"]) for state in steps.values()} == {6.0}
    assert "nan" not in (output / "history.jsonl").read_text().lower()


def test_too_many_nonfinite_updates_stop_the_run(corpus):
    settings = {"max_update": 6, "max_nonfinite": 3, "save_interval_updates": 1, "num_workers": 2}
    output, text = train(corpus, "diverged", prepare=partial(poison, tuple(range(2, 50))), status=2, **settings)
    assert "number 3 in a row" in text
    assert os.readlink(output / "checkpoints/latest") == "update_2"


def test_full_disk_keeps_the_checkpoints_before(corpus):
    output, text = train(corpus, "full", prepare=partial(fill_disk, 3), status=2, save_interval_updates=2)
    assert "is the disk full? the checkpoint of update 4 is intact" in text
    assert sorted(path.name for path in (output / "checkpoints").glob("*update*")) == ["update_2", "update_4"]
    output, text = train(corpus, "full", save_interval_updates=2)
    assert "going on from update 4 of 8" in text


def test_too_little_free_space_is_noticed_before_writing(corpus):
    _, text = train(corpus, "small", prepare=shrink_disk, status=2)
    assert "a checkpoint needs" in text and "free some space" in text


def test_print_config_is_a_config(corpus, tmp_path):
    _, text = train(corpus, "printed", "--print_config", "--optim_conf", "lr=3e-4")
    assert "lr: 0.0003" in text and "warmup_steps: null" in text and "mask_prob: 0.8" in text
    assert not (corpus[0] / "printed").exists()
