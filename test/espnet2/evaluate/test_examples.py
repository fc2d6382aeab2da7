"""A tiny model and sets in; three utterances to see and hear out."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from tiny_training import make_set
from tiny_units import write_experiment, write_phones

from espnet2.data.index import AudioIndex
from espnet2.evaluate.examples import part as examples
from espnet2.evaluate.examples.part import Examples, choose_examples
from espnet2.evaluate.part import EvaluationRequest, read_part, run_parts
from espnet2.evaluate.report.experiment import read_experiment
from espnet2.evaluate.report.report import write_report
from espnet2.evaluate.systems import systems_of
from espnet2.models.find import find_model


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    """What is to be shown of a DinoSR model of two layers."""
    root = tmp_path_factory.mktemp("examples")
    make_set(root, "train", num_utterances=6, seed=0)
    make_set(root, "valid", num_utterances=5, seed=1)
    write_phones(root / "dump/valid")
    exp = write_experiment(root / "exp/dinosr", "dinosr")
    return EvaluationRequest(
        exp,
        root / "dump/train",
        root / "dump/valid",
        systems_of(find_model(exp), has_codes=True),
        num_clusters=7,
        seeds=(3,),
    )


def test_three_utterances_with_audio_units_and_phones(request_):
    run_parts([Examples()], request_, lambda line: None)
    part = read_part(request_.exp, "examples")
    index = AudioIndex.open(request_.valid_set)
    assert len(part["utterances"]) == 3 and part["notes"] == []
    for utterance in part["utterances"]:
        row = index.find(utterance["utt_id"])
        audio, rate = soundfile.read(request_.exp / "eval" / utterance["audio"])
        original, _ = soundfile.read(index.path(row))
        assert rate == 16000 and len(audio) == index.num_samples[row] and np.abs(audio - original).max() < 1e-4
        units, codes = utterance["tracks"]
        assert units["title"].endswith("K = 7") and codes["title"].startswith("own codes")
        assert abs(len(units["ids"]) / units["frame_rate"] - utterance["seconds"]) < 0.1
        assert len(units["ids"]) == len(codes["ids"]) and 0 <= min(units["ids"]) <= max(units["ids"]) < 7
        assert utterance["phones"][0] == [0.0, 0.1, "a"]
    text = write_report(read_experiment(request_.exp)).read_text(encoding="utf-8")
    assert text.count("data:audio/flac") == 3 and "own codes, layer" in text


def test_the_best_layer_of_the_units_is_shown(request_):
    path = request_.exp / "eval/units.json"
    path.parent.mkdir(exist_ok=True)
    rows = [{"system": "model", "layer": layer, "best": layer == 2} for layer in (1, 2)]
    path.write_text(json.dumps({"part": "units", "rows": rows}))
    try:
        result = Examples().run(request_, lambda line: None)
    finally:
        path.unlink()
    assert result["utterances"][0]["tracks"][0]["title"].startswith("units of layer 2")


def test_long_audio_is_cut_with_its_units_and_phones(request_, monkeypatch):
    monkeypatch.setattr(examples, "MAXIMUM_SECONDS", 0.4)
    for utterance in Examples().run(request_, lambda line: None)["utterances"]:
        assert utterance["seconds"] == 0.4 and len(utterance["tracks"][0]["ids"]) <= 20
        assert max(end for _, end, _ in utterance["phones"]) == 0.4


def test_speakers_differ_and_phones_come_first(request_):
    index = AudioIndex.open(request_.valid_set)
    names = [index.utt_id(row) for row in range(len(index))]
    speakers = {name: "abbbb"[number] for number, name in enumerate(names)}
    first = choose_examples(index, speakers, None)
    assert len(set(first)) == 3 and {speakers[names[row]] for row in first[:2]} == {"a", "b"}
    assert names[choose_examples(index, {}, {names[4]})[0]] == names[4]


def test_without_phones_there_is_a_note(request_, tmp_path):
    shutil.copytree(request_.valid_set, tmp_path / "valid", ignore=shutil.ignore_patterns("phones.ctm"))
    result = Examples().run(replace(request_, valid_set=tmp_path / "valid"), lambda line: None)
    assert "has no alignments" in result["notes"][0] and result["utterances"][0]["phones"] == []
