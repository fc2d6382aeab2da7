"""The table of units: the same frames in every row, the layer chosen on train, figures that tell good from bad."""

import json

import numpy as np
import pytest
import torch
from tiny_units import run_program

from espnet2.ssl.evaluate.units import (
    LayerResult,
    Row,
    RowResult,
    align_set,
    evaluate_rows,
    make_row_extractor,
    parse_rows,
)
from espnet2.ssl.units.features import MfccFeatures
from espnet2.ssl.units.quality import UnitQuality
from espnet2.utils.errors import UserError


def quality(pnmi: float) -> UnitQuality:
    return UnitQuality(0.5, 0.5, pnmi, 10, 3, 4)


def test_rows_are_parsed():
    assert parse_rows("mfcc untrained:exp/a model:exp/a@best_loss second=model:exp/b") == [
        Row("MFCC", "mfcc"),
        Row("untrained", "untrained", "exp/a"),
        Row("a", "model", "exp/a", "best_loss"),
        Row("second", "model", "exp/b"),
    ]
    for bad in ("", "plp", "model", "untrained:", "mfcc:exp/a"):
        with pytest.raises(UserError, match="--rows"):
            parse_rows(bad)


def test_the_layer_is_chosen_on_train_and_reported_on_valid():
    first = LayerResult(1, (quality(0.5), quality(0.5)), (quality(0.30), quality(0.34)))
    second = LayerResult(2, (quality(0.4), quality(0.4)), (quality(0.90), quality(0.90)))
    row = RowResult(Row("m", "model"), "", (first, second))
    assert row.best.layer == 1
    assert row.mean("pnmi") == pytest.approx(0.32) and row.spread("pnmi") == pytest.approx(0.04)


def test_every_row_has_the_same_frames(corpus, experiment):
    extractors = [MfccFeatures(16000), make_row_extractor(Row("m", "model", str(experiment)), 16000, "cpu")]
    aligned = align_set(corpus / "dump/dev", extractors, 50.0, 10**9)
    lengths = np.asarray(aligned.index.num_samples)[aligned.rows]
    mfcc, stacked = -(-((lengths - 400) // 160 + 1) // 2), (lengths - 560) // 320 + 1
    assert aligned.frame_counts.tolist() == np.minimum(mfcc, stacked).tolist()
    assert len(aligned.phones) == aligned.frame_counts.sum()
    small = align_set(corpus / "dump/dev", extractors, 50.0, 100)
    assert 0 < len(small.rows) < len(aligned.rows)
    with pytest.raises(UserError, match="cannot be compared at 40"):
        align_set(corpus / "dump/dev", extractors, 40.0, 100)


def test_untrained_is_the_same_each_time_and_leaves_the_generator_alone(experiment):
    before = torch.random.get_rng_state()
    first, again = (make_row_extractor(Row("u", "untrained", str(experiment)), 16000, "cpu") for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    for one, other in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_units_that_know_the_phones_score_higher(corpus, experiment, monkeypatch):
    """A model whose layer 2 spells out the phones wins with PNMI 1, on layer 2."""
    extract = MfccFeatures.extract

    def cheating(self, wavs):
        layers = []
        for features in extract(self, wavs):
            phone = torch.tensor([int((i / 100 + 0.0125) * 10) % 3 for i in range(features.shape[1])])
            spelled = torch.nn.functional.one_hot(phone, self.dim).float()[None]
            layers.append(torch.cat([torch.randn(features.shape, generator=noise), spelled]))
        return layers

    noise = torch.Generator().manual_seed(0)
    monkeypatch.setattr(MfccFeatures, "extract", cheating)
    monkeypatch.setattr(MfccFeatures, "num_layers", 2)
    monkeypatch.setattr(MfccFeatures, "layers", (1, 2), raising=False)
    sets = (corpus / "dump/train", corpus / "dump/dev")
    (row,) = evaluate_rows([Row("cheat", "mfcc")], *sets, num_clusters=3, seeds=[0, 1])["rows"]
    assert row["layer"] == 2
    assert row["pnmi"] == pytest.approx(1) and row["phone_purity"] == pytest.approx(1)
    assert row["layers"][0]["valid"][0]["pnmi"] < 0.2


def test_program_writes_json_and_table(corpus, experiment, tmp_path, capsys):
    words = ["--train_set", corpus / "dump/train", "--valid_set", corpus / "dump/dev", "--num_clusters", 5]
    rows = ["--rows", f"mfcc untrained:{experiment} model:{experiment}@latest", "--seeds", "0 1"]
    run_program("ssl_evaluate_units", *words, *rows, "--output", tmp_path / "eval/units")
    table = (tmp_path / "eval/units.md").read_text()
    assert table == capsys.readouterr().out
    assert "| MFCC | - |" in table and "| tiny |" in table and "K = 5, 50 frames per second" in table
    result = json.loads((tmp_path / "eval/units.json").read_text())
    assert [row["name"] for row in result["rows"]] == ["MFCC", "untrained", "tiny"]
    assert {len(layer["valid"]) for row in result["rows"] for layer in row["layers"]} == {2}
    counts = {layer["valid"][0]["num_frames"] for row in result["rows"] for layer in row["layers"]}
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seeds", "a"], "--seeds 'a'"),
        (["--seeds", ""], "--seeds is empty"),
        (["--rows", "model:exp/none"], "exp/none: no trained model"),
        (["--train_set", "dump/none"], "dump/none"),
    ],
)
def test_mistakes(corpus, options, message):
    words = ["--train_set", corpus / "dump/train", "--valid_set", corpus / "dump/dev", "--rows", "mfcc"]
    with pytest.raises(UserError, match=message):
        run_program("ssl_evaluate_units", *words, *options)
