"""Units as language, as a part of the evaluation: bits per second of every system, kept, and shown."""

import json

import pytest
from tiny_training import make_set
from tiny_units import write_experiment

from espnet2.evaluate.part import EvaluationRequest, read_part, run_parts
from espnet2.evaluate.systems import systems_of
from espnet2.evaluate.unit_lm.part import UnitLanguage
from espnet2.models.find import find_model
from espnet2.utils.errors import UserError


def test_every_system_has_its_bits_per_second(tmp_path):
    make_set(tmp_path, "train", num_utterances=6)
    make_set(tmp_path, "dev", num_utterances=4, seed=1)
    exp = write_experiment(tmp_path / "exp/tiny")
    options = {"unit_lm": {"max_update": 2, "batch_bins": 500}}
    sets = {"train_set": tmp_path / "dump/train", "valid_set": tmp_path / "dump/dev"}
    request = EvaluationRequest(exp, **sets, systems=systems_of(find_model(exp)), num_clusters=5, options=options)
    log: list[str] = []
    run_parts([UnitLanguage()], request, log.append)
    result = read_part(exp, "unit_lm")
    assert [row["system"] for row in result["rows"]] == ["mfcc", "untrained", "model"]
    for row in result["rows"]:
        assert 0 < row["bits_per_second"] < 1.2 * row["guessing_bits_per_second"] and row["K"] == 5
        assert row["tokens_per_second"] <= 50  # repeats are left out
        assert row["seconds"] == result["rows"][0]["seconds"]
    page = UnitLanguage().section(result, exp / "eval").body
    assert "guessing" in page and all(f"{row['bits_per_second']:.1f}" in page for row in result["rows"])
    (exp / "eval/unit_lm.json").unlink()
    run_parts([UnitLanguage()], request, log.append)  # the language models are there
    again = read_part(exp, "unit_lm")
    assert json.dumps(again["rows"]) == json.dumps(result["rows"])
    assert not list((exp / "eval/.unit_lm").rglob("checkpoints"))
    with pytest.raises(UserError, match="max_update"):
        wrong = {"unit_lm": {"max_updates": 2}}
        run_parts([UnitLanguage()], EvaluationRequest(**{**vars(request), "options": wrong}), log.append)
