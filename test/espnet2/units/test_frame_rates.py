"""Models of 25, 50 and 100 frames per second, and a method with codes of its own, in; the same frames for all out."""

import numpy as np
import pytest
import torch
from tiny_units import write_experiment
from trained import load_path

from espnet2.data.waveform import load_wav
from espnet2.evaluate.part import EvaluationRequest
from espnet2.evaluate.systems import System, open_system
from espnet2.evaluate.units.part import evaluate_units
from espnet2.evaluate.units.table import best_rows, markdown_table, parse_rows
from espnet2.models.find import find_model
from espnet2.units.aligned import RateChange, align_set, collect
from espnet2.units.features import MfccFeatures
from espnet2.units.own_codes import CodeFeatures
from espnet2.utils.errors import UserError


def evaluate(corpus, rows, **options):
    sets = {"train_set": corpus / "dump/train", "valid_set": corpus / "dump/dev"}
    request = EvaluationRequest(corpus, **sets, systems=tuple(parse_rows(rows)), num_clusters=4, **options)
    return evaluate_units(request)


@pytest.mark.parametrize(
    ("own_rate", "frame_rate", "change"), [(50, 50, (1, 1)), (100, 50, (2, 1)), (25, 50, (1, 2)), (12.5, 50, (1, 4))]
)
def test_whole_multiples_are_kept_or_repeated(own_rate, frame_rate, change):
    assert RateChange.between(own_rate, frame_rate) == RateChange(*change)


@pytest.mark.parametrize(("own_rate", "frame_rate"), [(50, 40), (40, 50), (75, 50), (33.3, 100)])
def test_other_rates_are_refused(own_rate, frame_rate):
    with pytest.raises(UserError, match="cannot be compared"):
        RateChange.between(own_rate, frame_rate)


def test_each_frame_stands_for_its_own_time():
    features = torch.arange(5.0)[None, :, None]
    assert RateChange(2, 1).apply(features).flatten().tolist() == [0, 2, 4]
    assert RateChange(1, 2).apply(features).flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    for change in (RateChange(2, 1), RateChange(1, 2), RateChange(1, 1)):
        assert change.count(np.array(5)) == change.apply(features).shape[1]


def test_a_slow_model_is_compared_on_the_frames_of_the_others(corpus, tmp_path):
    slow = write_experiment(tmp_path / "exp/slow", frontend_conf={"stack_frames": 4})
    extractors = [MfccFeatures(16000), open_system(System("model", "s", find_model(slow)), 16000)]
    assert extractors[1].geometry.frame_rate == 25
    aligned = align_set(corpus / "dump/dev", extractors, 50.0, 10**9)
    features = collect(aligned, extractors[1], 50.0)
    assert features.shape[1] == len(aligned.phones)
    first = int(aligned.frame_counts[0])
    coarse = extractors[1].extract([load_wav(aligned.index, int(aligned.rows[0]), normalize=False)])[0]
    torch.testing.assert_close(features[:, :first], coarse.repeat_interleave(2, dim=1)[:, :first])
    report = evaluate(corpus, f"mfcc slow_model=model:{slow}")
    assert [row["own_rate"] for row in report["rows"]] == [100, 25, 25]
    table = markdown_table(report)
    assert "MFCC: 100 frames per second, one frame of 2 is kept." in table
    assert "slow model: 25 frames per second, each frame counts 2 times." in table


def test_own_codes_are_what_the_method_names(corpus, tmp_path):
    experiment = write_experiment(tmp_path / "exp/dinosr", "dinosr")
    model = load_path(experiment).model
    extractor = CodeFeatures(model, 16000, "cpu", "it")
    wavs = [0.1 * torch.randn(length) for length in (9000, 16000, 100)]
    for wav, features in zip(wavs[:2], extractor.extract(wavs)[:2], strict=True):
        codes = model.first.codes(wav[None], torch.tensor([len(wav)])).codes
        assert list(codes) == list(extractor.layers)
        assert torch.equal(features[..., 0].long(), torch.stack([codes[layer][0] for layer in extractor.layers]))
    assert extractor.extract(wavs)[2].shape == (len(extractor.layers), 0, 1)
    report = evaluate(corpus, f"codes:{experiment}", seeds=(0, 1))
    assert [row["layer"] for row in report["rows"]] == list(extractor.layers)
    (row,) = best_rows(report["rows"])
    assert row["title"] == "codes of dinosr" and row["best"] and row["valid"]["spread"]["pnmi"] == 0
    assert row["K"] == 11 and 1 <= row["valid"]["used_clusters"] <= 11 and row["teacher_hash"]
    assert report["notes"] == ["codes of dinosr: K = 11, not 4: more units tell more of the phone, whatever they are"]


def test_a_method_without_codes_says_so(experiment):
    with pytest.raises(UserError, match="Hubert has no codes of its own"):
        open_system(System("codes", "c", find_model(experiment)), 16000)
