"""A config and data in; the updates that fill some minutes, the same at each call, out."""

import json

import pytest
from tiny_training import make_corpus
from tiny_units import run_program

from espnet2.pretrain.trial import Trial
from espnet2.utils.errors import UserError


def test_updates_fill_the_minutes():
    assert Trial(10.04, 100.0, 50, 0.0).max_update(2.5) == 1500
    assert Trial(0.5, 100.0, 50, None).max_update(1.0) == 30
    assert Trial(0.01, 100.0, 50, None).max_update(0.1) == 1
    assert Trial(1, 1, 1, None).is_quiet and Trial(1, 1, 1, 0.05).is_quiet and not Trial(1, 1, 1, 0.5).is_quiet


def words(root, paths, *more):
    sets = ["--train_sets", paths.train_sets[0], "--valid_sets", paths.valid_sets[0]]
    sets += ["--train_labels", paths.train_labels[0], "--valid_labels", paths.valid_labels[0]]
    config = ["--config", root / "conf.yaml", "--name", "it", "--file", root / "exp/calibration.json"]
    return ["ssl_time_training", *config, *sets, "--seconds", "0.2", *more]


def test_the_answer_is_kept(tmp_path, capsys):
    paths = make_corpus(tmp_path, num_train=8, num_valid=2)
    run_program(*words(tmp_path, paths, "--minutes", "0.5"))
    first = int(capsys.readouterr().out)
    entry = json.loads((tmp_path / "exp/calibration.json").read_text())["it"]
    assert entry["max_update"] == first and entry["updates"] > 0 and entry["minutes"] == 0.5
    expected = Trial(entry["updates_per_second"], 0.0, 1, None).max_update(0.5)
    assert first == expected and entry["audio_per_second"] > entry["updates_per_second"]
    run_program(*words(tmp_path, paths, "--minutes", "0.5"))
    assert int(capsys.readouterr().out) == first
    assert json.loads((tmp_path / "exp/calibration.json").read_text()) == {"it": entry}
    for changed in (["1"], ["0.5", "--optim_conf", "lr=0.5"], ["0.5", "--clock", "core"]):
        with pytest.raises(UserError, match="timed with another config, other minutes or another clock"):
            run_program(*words(tmp_path, paths, "--minutes", *changed))
    for damaged, fault in ((3, "'it' is 3"), (entry | {"minutes": "1"}, "'it' has '1' as minutes"), ({}, "'it' lacks")):
        (tmp_path / "exp/calibration.json").write_text(json.dumps({"it": damaged}))
        with pytest.raises(UserError, match=f"calibration.json: {fault}.*; delete that entry, to measure again"):
            run_program(*words(tmp_path, paths, "--minutes", "0.5"))
    (tmp_path / "exp/calibration.json").write_text('{"it": {')
    with pytest.raises(UserError, match=r"calibration.json:1: damaged or cut short .*: delete it, to measure again"):
        run_program(*words(tmp_path, paths, "--minutes", "0.5"))
    with pytest.raises(UserError, match="above 0"):
        run_program(*words(tmp_path, paths, "--minutes", "0"))


def test_time_of_one_core_is_that_of_a_training_with_one_thread(tmp_path, capsys):
    paths = make_corpus(tmp_path, num_train=8, num_valid=2)
    run_program(*words(tmp_path, paths, "--minutes", "0.5", "--clock", "core"))
    entry = json.loads((tmp_path / "exp/calibration.json").read_text())["it"]
    assert entry["clock"] == "core" and entry["others_share"] is None and int(capsys.readouterr().out) > 0
    (tmp_path / "exp/calibration.json").unlink()
    with pytest.raises(UserError, match="--num_threads 1"):
        run_program(*words(tmp_path, paths, "--minutes", "0.5", "--clock", "core", "--num_threads", "2"))
