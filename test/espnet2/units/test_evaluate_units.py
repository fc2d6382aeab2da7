"""The table of units: the same frames in every row, the layer chosen on train, figures that tell good from bad."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from tiny_units import run_program
from trained import write_empty

from espnet2.evaluate.part import EvaluationRequest, read_part
from espnet2.evaluate.systems import System, open_system
from espnet2.evaluate.units.figures import heat_map, measure_units, summarise
from espnet2.evaluate.units.page import units_section
from espnet2.evaluate.units.part import Units, evaluate_units
from espnet2.evaluate.units.row import HeatMap
from espnet2.evaluate.units.table import best_rows, markdown_table, parse_rows
from espnet2.models.find import find_model
from espnet2.units.aligned import align_set
from espnet2.units.features import LogMelFeatures, MfccFeatures
from espnet2.utils.errors import UserError

MFCC = System("mfcc", "MFCC")


def request_of(corpus, systems, **options) -> EvaluationRequest:
    sets = {"train_set": corpus / "dump/train", "valid_set": corpus / "dump/dev"}
    return EvaluationRequest(corpus, **sets, systems=tuple(systems), **options)


def test_rows_are_parsed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_empty(Path("exp/a"), "latest", "best_loss")
    write_empty(Path("exp/b"))
    assert parse_rows("mfcc logmel untrained:exp/a model:exp/a@best_loss second=model:exp/b") == [
        MFCC,
        System("logmel", "log-mel"),
        System("untrained", "untrained", find_model("exp/a")),
        System("model", "a", find_model("exp/a", "best_loss")),
        System("model", "second", find_model("exp/b")),
    ]
    for bad in ("", "plp", "model", "untrained:", "mfcc:exp/a"):
        with pytest.raises(UserError, match="--rows"):
            parse_rows(bad)
    with pytest.raises(UserError, match="exp/c: no trained model there"):
        parse_rows("mfcc model:exp/c")


def test_the_mean_and_the_spread_are_over_the_seeds():
    summary = summarise([{"pnmi": 0.30, "bitrate": 9.0}, {"pnmi": 0.34, "bitrate": 9.0}])
    assert summary.means["pnmi"] == pytest.approx(0.32) and summary.spreads["pnmi"] == pytest.approx(0.04)
    assert summary.spreads["bitrate"] == 0


def test_figures_agree_with_scikit_learn_and_with_a_case_by_hand(corpus):
    aligned = align_set(corpus / "dump/dev", [MfccFeatures(16000)], 50.0, 10**9)
    units = np.random.default_rng(0).integers(0, 9, len(aligned.phones))
    units[::2] = aligned.phones[::2]
    figures = measure_units(units, aligned, 12, 50.0)
    known = aligned.phones >= 0
    phones = aligned.phones[known]
    expected = mutual_info_score(phones, units[known]) / mutual_info_score(phones, phones)
    assert figures["pnmi"] == pytest.approx(expected) and figures["used_clusters"] == 9
    frames = {"index": None, "rows": np.arange(2), "frame_counts": np.array([4, 4]), "phones": None}
    by_hand = measure_units(np.array([5, 5, 2, 2, 2, 2, 5, 5]), replace(aligned, **frames), 8, 50.0)
    assert by_hand == {
        "bitrate": pytest.approx(50),  # one bit a frame
        "bitrate_deduplicated": pytest.approx(25),  # four runs in eight frames
        "perplexity": pytest.approx(2),
        "used_clusters": 2,
        "mean_run_frames": 2,
    }


def test_a_heat_map_puts_what_agrees_on_the_diagonal(corpus):
    aligned = align_set(corpus / "dump/dev", [MfccFeatures(16000)], 50.0, 10**9)
    symbols, phones = ("SIL", "a", "b"), np.array([1, 1, 1, 1, 2, 2, 2, -1])
    aligned = replace(aligned, phones=phones, symbols=symbols, num_phones=3)
    pairs = heat_map(np.array([7, 7, 7, 4, 4, 4, 4, 0]), aligned, 9)
    assert pairs == HeatMap(["a", "b"], [7, 4], [[1, 0], [0.25, 0.75]])


def test_the_layer_is_chosen_on_train_and_reported_on_valid(monkeypatch, corpus, experiment):
    def measured(units, aligned, num_units, rate):
        scores.append(0.1 * len(scores))  # train of layer 1, valid of layer 1, train of layer 2, ...
        return {"pnmi": scores[-1]}

    scores: list[float] = []
    monkeypatch.setattr("espnet2.evaluate.units.part.measure_units", measured)
    rows = evaluate_units(request_of(corpus, [System("model", "m", find_model(experiment))], num_clusters=3))["rows"]
    assert [(row["layer"], row["best"], "heatmap" in row) for row in rows] == [(1, False, False), (2, True, True)]
    assert best_rows(rows)[0]["valid"]["pnmi"] == pytest.approx(0.3)


def test_layers_that_do_not_fit_into_memory_together_give_the_same(monkeypatch, corpus, experiment):
    request = request_of(corpus, [System("model", "m", find_model(experiment))], num_clusters=3)
    whole = evaluate_units(request)["rows"]
    monkeypatch.setattr("espnet2.evaluate.units.part.GROUP_BYTES", 1)
    assert evaluate_units(request)["rows"] == whole
    only = evaluate_units(replace(request, layers=(2,)))["rows"]
    assert [row["layer"] for row in only] == [2] and only[0]["valid"] == whole[1]["valid"]


def test_every_row_has_the_same_frames(corpus, experiment):
    extractors = [
        MfccFeatures(16000),
        LogMelFeatures(16000),
        open_system(System("model", "m", find_model(experiment)), 16000),
    ]
    aligned = align_set(corpus / "dump/dev", extractors, 50.0, 10**9)
    lengths = np.asarray(aligned.index.num_samples)[aligned.rows]
    mfcc, stacked = -(-((lengths - 400) // 160 + 1) // 2), (lengths - 560) // 320 + 1
    assert aligned.frame_counts.tolist() == np.minimum(mfcc, stacked).tolist()
    assert len(aligned.phones) == aligned.frame_counts.sum()
    small = align_set(corpus / "dump/dev", extractors, 50.0, 100)
    assert 0 < len(small.rows) < len(aligned.rows)
    with pytest.raises(UserError, match="cannot be compared at 40"):
        align_set(corpus / "dump/dev", extractors, 40.0, 100)


def test_log_mel_is_that_of_kaldi():
    from torchaudio.compliance.kaldi import fbank

    wav = 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(0))
    (features,) = LogMelFeatures(16000).extract([wav])
    torch.testing.assert_close(features[0], fbank(wav[None], num_mel_bins=80), rtol=1e-3, atol=1e-3)
    assert LogMelFeatures(16000).extract([wav[:100]])[0].shape == (1, 0, 80)


def test_untrained_is_the_same_each_time_and_leaves_the_generator_alone(experiment):
    before = torch.random.get_rng_state()
    first, again = (open_system(System("untrained", "u", find_model(experiment)), 16000) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    for one, other in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_units_that_know_the_phones_score_higher(corpus, monkeypatch):
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
    monkeypatch.setattr(MfccFeatures, "layers", (1, 2))
    first, second = evaluate_units(request_of(corpus, [MFCC], num_clusters=3, seeds=(0, 1)))["rows"]
    assert second["best"] and not first["best"]
    assert second["valid"]["pnmi"] == pytest.approx(1) and second["valid"]["phone_purity"] == pytest.approx(1)
    assert first["valid"]["pnmi"] < 0.2


def test_without_alignments_the_statistics_of_the_units_alone(corpus, experiment, tmp_path):
    (tmp_path / "dump").mkdir()
    for name in ("train", "dev"):
        folder = tmp_path / "dump" / name
        folder.mkdir()
        for path in (corpus / "dump" / name).iterdir():
            if path.name != "phones.ctm" or name == "train":  # one set without is enough
                (folder / path.name).symlink_to(path)
    systems = [MFCC, System("model", "m", find_model(experiment))]
    report = evaluate_units(request_of(tmp_path, systems, num_clusters=4))
    assert all("pnmi" not in row[part] for row in report["rows"] for part in ("train", "valid"))
    assert all(row["valid"]["perplexity"] > 1 and not row["best"] and "heatmap" not in row for row in report["rows"])
    assert f"no phone alignments of {tmp_path}/dump/dev: purity and PNMI are not computed" in report["notes"][0]
    table = markdown_table(report)
    assert "| units | layer | bits/s |" in table and "Note: no phone alignments" in table and "last layer on" in table


def test_phones_of_the_evaluated_set_alone_are_enough(corpus, experiment, tmp_path):
    for name in ("train", "dev"):
        (tmp_path / "dump" / name).mkdir(parents=True)
        for path in (corpus / "dump" / name).iterdir():
            if path.name != "phones.ctm" or name == "dev":
                (tmp_path / "dump" / name / path.name).symlink_to(path)
    request = request_of(tmp_path, [MFCC, System("model", "m", find_model(experiment))], num_clusters=4)
    report = evaluate_units(request)
    assert all("pnmi" not in row["train"] and 0 <= row["valid"]["pnmi"] <= 1 for row in report["rows"])
    with_both = evaluate_units(request_of(corpus, request.systems, num_clusters=4))
    assert [row["valid"] for row in report["rows"]] == [row["valid"] for row in with_both["rows"]]
    layers = [row for row in report["rows"] if row["system"] == "model"]
    (best,) = [row for row in layers if row["best"]]
    assert best["valid"]["pnmi"] == max(row["valid"]["pnmi"] for row in layers) and "heatmap" in best
    note = f"no phone alignments of {tmp_path}/dump/train: the layers are chosen on {tmp_path}/dump/dev, where they are"
    assert note in report["notes"][0]
    assert f"frames of {tmp_path}/dump/train, layer chosen on {tmp_path}/dump/dev itself" in markdown_table(report)
    assert f"The layer was chosen on {tmp_path}/dump/dev itself" in str(units_section(report).body)
    settings = Units().settings(request)
    both = Units().settings(request_of(corpus, [MFCC], num_clusters=4))
    assert settings["chosen_on"] == "valid" and "chosen_on" not in both


def test_program_writes_json_and_table(corpus, experiment, tmp_path, capsys):
    words = ["--train_set", corpus / "dump/train", "--valid_set", corpus / "dump/dev", "--num_clusters", 5]
    rows = ["--rows", f"mfcc untrained:{experiment} model:{experiment}@latest", "--seeds", "0 1"]
    run_program("ssl_evaluate_units", *words, *rows, "--output", tmp_path / "eval/units")
    table = (tmp_path / "eval/units.md").read_text()
    assert table == capsys.readouterr().out
    assert "| MFCC | - |" in table and "| tiny |" in table and "K = 5, 50 frames per second" in table
    result = json.loads((tmp_path / "eval/units.json").read_text())
    assert [row["title"] for row in best_rows(result["rows"])] == ["MFCC", "untrained", "tiny"]
    assert [row["layer"] for row in result["rows"]] == [None, 1, 2, 1, 2]


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


def evaluate(corpus, experiment, *options):
    sets = ["--train_set", corpus / "dump/train", "--valid_set", corpus / "dump/dev"]
    run_program("ssl_evaluate", *sets, "--parts", "units", "--num_clusters", 4, *options, experiment)


def test_stage_8_keeps_what_is_unchanged(corpus, experiment, capsys):
    evaluate(corpus, experiment)
    first = capsys.readouterr()
    assert "forecast: " in first.err and first.out == (experiment / "eval/units.md").read_text()
    part = read_part(experiment, "units")
    assert {row["system"] for row in part["rows"]} == {"mfcc", "untrained", "model"} and part["seeds"] == [0]
    evaluate(corpus, experiment)
    again = capsys.readouterr()
    assert "units: unchanged, kept" in again.err and "forecast" not in again.err and again.out == first.out
    evaluate(corpus, experiment, "--eval", "full", "--layers", "2")
    assert "forecast" in capsys.readouterr().err
    changed = read_part(experiment, "units")
    assert changed["seeds"] == [0, 1, 2] and {row["layer"] for row in changed["rows"]} == {None, 2}


def test_several_models_share_one_table(corpus, experiment, tmp_path):
    together = tmp_path / "together"
    evaluate(corpus, experiment, "--output", together, "--beside", f"again={experiment}", "--")
    rows = [row for row in read_part(together, "units")["rows"] if row["system"] == "model"]
    figures = {title: [row["valid"] for row in rows if row["title"] == title] for title in ("again", experiment.name)}
    assert figures["again"] == figures[experiment.name] != []
    with pytest.raises(UserError, match="--output exp/<comparison>"):
        evaluate(corpus, experiment, "--beside", f"again={experiment}", "--")
    with pytest.raises(UserError, match="expected <title>=exp/<name>"):
        evaluate(corpus, experiment, "--output", together, "--beside", "again", "--")


def test_other_phones_or_weights_make_the_figures_stale(corpus, experiment, tmp_path):
    request = request_of(corpus, [System("model", "m", find_model(experiment))])
    before = Units().settings(request)
    table = tmp_path / "all.tsv"
    table.write_text("".join(f"{name}\t0\t9\ta\n" for name in ("x", "y")))
    assert Units().settings(replace(request, alignments=table)) != before
    (experiment / "checkpoints/latest/model.safetensors").write_bytes(b"other")
    again = request_of(corpus, [System("model", "m", find_model(experiment))])
    assert Units().settings(again) != before == Units().settings(request)  # the request still names what it found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", ""], "--layers is empty"),
        (["--layers", "7"], "no layer 7; its layers are 1, 2"),
        (["--seeds", "x"], "--seeds 'x': expected whole numbers"),
        (["--parts", "unit"], "--parts 'unit': expected some of units, abx, probes"),
        (["--num_clusters", "100000"], "frames cannot make 100000 clusters"),
        (["--options", "probe.tasks=[ctc]", "--"], "--options probe.tasks: expected <part>.<key>=<value>"),
        (["--alignments", "nowhere"], "nowhere: no such file or folder of phone alignments"),
    ],
)
def test_mistakes_of_stage_8(corpus, experiment, options, message):
    with pytest.raises(UserError, match=message):
        evaluate(corpus, experiment, *options)
    assert not (experiment / "eval").exists()
