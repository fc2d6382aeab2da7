"""ABX as a part of the evaluation: rows of every kind, resume, the best layer, and what is refused or skipped."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import make_set
from tiny_units import write_experiment

from espnet2.data.index import AudioIndex
from espnet2.evaluate.abx import choice as abx_choice
from espnet2.evaluate.abx import part as abx
from espnet2.evaluate.abx.part import Abx
from espnet2.evaluate.part import EvaluationRequest, part_file, read_part, run_parts, scratch_folder
from espnet2.evaluate.systems import System, systems_of
from espnet2.evaluate.units import learned as learned_units
from espnet2.evaluate.units.part import Units
from espnet2.models.find import find_model
from espnet2.units.aligned import collect
from espnet2.units.kmeans import fit_kmeans
from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json

MFCC = System("mfcc", "MFCC")
FIGURES = {"error_rate", "low", "high", "num_triples", "num_phone_pairs"}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def write_tables(dump_set: Path, num_speakers: int) -> None:
    """Phones of 40 ms, none twice in a row, few enough for contexts to come again; the speakers take turns."""
    index, generator = AudioIndex.open(dump_set), np.random.default_rng(0)
    lines, speakers = [], []
    for row in range(len(index)):
        utt_id = index.utt_id(row)
        speakers.append(f"{utt_id} s{row % num_speakers}\n")
        phone = "SIL"
        for number in range(int(index.num_samples[row]) // 640):
            phone = generator.choice([name for name in "abcdefg" if name != phone])
            lines.append(f"{utt_id} 1 {number * 0.04:.2f} 0.04 {phone}\n")
    (dump_set / "phones.ctm").write_text("".join(lines))
    (dump_set / "utt2spk").write_text("".join(speakers))


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """dump/train and dump/dev: noise with phones, the latter by two speakers."""
    root = tmp_path_factory.mktemp("abx")
    for name, count in (("train", 4), ("dev", 40)):
        make_set(root, name, num_utterances=count, seed=count)
        write_tables(root / "dump" / name, 2)
    return root


@pytest.fixture
def corpus(shared, tmp_path) -> Path:
    """A copy that a test may change."""
    shutil.copytree(shared, tmp_path, dirs_exist_ok=True, symlinks=True)
    return tmp_path


def request_of(corpus: Path, *systems: System, **options: Any) -> EvaluationRequest:
    sets = {"train_set": corpus / "dump/train", "valid_set": corpus / "dump/dev"}
    exp = options.pop("exp", corpus / "exp/tiny")
    return EvaluationRequest(exp, **sets, systems=systems or (MFCC,), **{"num_clusters": 8} | options)


def run(request: EvaluationRequest) -> tuple[dict[str, Any], list[str]]:
    log: list[str] = []
    run_parts([Abx()], request, log.append)
    return read_part(request.exp, "abx"), log


def test_every_layer_distance_and_mode_has_a_row_with_its_interval(corpus):
    exp = write_experiment(corpus / "exp/tiny", "dinosr")
    result, _ = run(request_of(corpus, *systems_of(find_model(exp), has_codes=True), exp=exp, seeds=(0, 1)))
    rows = result["rows"]
    keys = {(row["system"], row["layer"], row["features"], row["distance"], row["mode"]) for row in rows}
    layers = [("mfcc", None), ("untrained", 1), ("untrained", 2), ("model", 1), ("model", 2)]
    codes = [("codes", layer) for layer in sorted({row["layer"] for row in rows if row["system"] == "codes"})]
    kinds = [("continuous", "angular"), ("continuous", "euclidean"), ("units", "equal")]
    modes = ("within", "across")
    expected = {(*layer, *kind, mode) for layer in layers for kind in kinds for mode in modes}
    expected |= {(*layer, "units", "equal", mode) for layer in codes for mode in modes}
    assert codes and keys == expected and len(rows) == len(keys)
    for row in rows:
        assert row.keys() >= FIGURES and 0 <= row["low"] <= row["error_rate"] <= row["high"] <= 1
        assert abs(row["error_rate"] - 0.5) < 0.1  # the phones have nothing to do with the noise
        assert (row["features"] == "units") == ("spread" in row) == ("K" in row)
    assert {tuple(row["seeds"]) for row in rows if "seeds" in row} == {(0, 1), ()}
    assert len({(row["num_triples"], row["num_phone_pairs"]) for row in rows}) == 2  # the same for all, but by mode
    assert any("at most 5 speakers" in note for note in result["notes"])
    assert any("drawn again" in note for note in result["notes"])


def test_features_that_tell_the_phones_make_no_errors(corpus, monkeypatch):
    """The phones themselves as features: the whole way from the tables to the figure is in step."""

    def phones_as_features(aligned, extractor, frame_rate):
        return torch.nn.functional.one_hot(torch.from_numpy(aligned.phones + 1)).float()[None]

    monkeypatch.setattr(abx, "collect", phones_as_features)
    result, _ = run(request_of(corpus, num_clusters=7))  # a cluster for each phone
    rates = {
        (row["features"], row["mode"]): row["error_rate"] for row in result["rows"] if row["distance"] != "angular"
    }
    assert rates == {(features, mode): 0 for features in ("continuous", "units") for mode in ("within", "across")}


def test_a_finished_part_and_finished_layers_are_not_computed_again(corpus, monkeypatch):
    exp = write_experiment(corpus / "exp/tiny")
    request = request_of(corpus, MFCC, System("model", "tiny", find_model(exp)), exp=exp)
    calls = []
    original = abx.continuous_rows

    def interrupted(materials, frames, name):
        calls.append(name)
        if name == "tiny, layer 2" and calls.count(name) == 1:
            raise KeyboardInterrupt
        return original(materials, frames, name)

    monkeypatch.setattr(abx, "continuous_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(request)
    assert not part_file(exp, "abx").exists()
    result, _ = run(request)
    assert calls == ["MFCC", "tiny, layer 1", "tiny, layer 2", "tiny, layer 2"]
    assert [row["layer"] for row in result["rows"]] == [None] * 6 + [1] * 6 + [2] * 6
    assert not list(part_file(exp, "abx").parent.glob(".abx/*.json"))
    again, log = run(request)
    assert again == result and len(calls) == 4 and "unchanged" in log[0]
    run(replace(request, num_clusters=9))
    assert len(calls) == 7
    whole, _ = run(replace(request, exp=corpus / "exp/other"))
    assert [row["error_rate"] for row in whole["rows"]] == [row["error_rate"] for row in result["rows"]]


def test_by_default_the_best_layer_of_the_units_and_in_full_all(corpus):
    exp = write_experiment(corpus / "exp/tiny")
    model = System("model", "tiny", find_model(exp))
    request = request_of(corpus, model, exp=exp)
    row = {"system": "model", "title": "tiny", "teacher_hash": model.hash}
    units = {"part": "units", "rows": [row | {"layer": 1, "best": False}, row | {"layer": 2, "best": True}]}
    write_json(part_file(exp, "units"), units)
    assert abx_choice.best_layers(request, model) == (2,)
    result, _ = run(request)
    assert {row["layer"] for row in result["rows"]} == {2}
    assert abx_choice.best_layers(replace(request, effort="full"), model) is None
    first = replace(request, layers=(1,))
    assert abx_choice.best_layers(first, model) is None  # the best is not asked for
    assert {row["layer"] for row in run(first)[0]["rows"]} == {1}
    units["rows"][1]["teacher_hash"] = "of other weights"
    write_json(part_file(exp, "units"), units)
    assert abx_choice.best_layers(request, model) is None
    result, log = run(request)  # what ABX rests on has changed
    assert {row["layer"] for row in result["rows"]} == {1, 2} and not any("unchanged" in line for line in log)


def test_units_of_the_same_settings_are_not_learned_again(corpus, monkeypatch):
    exp = write_experiment(corpus / "exp/tiny")
    request = request_of(
        corpus, MFCC, System("untrained", "untrained", find_model(exp)), exp=exp, effort="full", seeds=(0, 1)
    )
    fits = []

    def counted(*arguments, **options):
        fits.append(options["seed"])
        return fit_kmeans(*arguments, **options)

    monkeypatch.setattr(learned_units, "fit_kmeans", counted)
    alone, log = run(request)
    assert fits == [0, 1] * 3 and "abx: MFCC: units learned now: none are kept of these settings" in log
    assert "abx: untrained: units of layers 1, 2 learned now: none are kept of these settings" in log

    def both(request: EvaluationRequest) -> list[str]:
        log: list[str] = []
        run_parts([Units(), Abx()], request, log.append, fresh=True)
        return log

    fits.clear()
    collected = []
    monkeypatch.setattr(abx, "collect", lambda *words: collected.append(words[0].index.directory) or collect(*words))
    log = both(request)
    assert fits == [0, 1] * 3 and {dump_set.parent.name for dump_set in collected} == {"dev"}
    assert "abx: untrained: units of layers 1, 2 taken from the units part" in log
    assert read_part(exp, "abx")["rows"] == alone["rows"]
    run(replace(request, num_clusters=9))
    assert len(fits) == 12
    both(replace(request, num_clusters=9))
    assert len(list(scratch_folder(exp, "units").iterdir())) == 6  # those of 8 clusters are gone
    for file in scratch_folder(exp, "units").iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    fits.clear()
    run_parts([Abx()], replace(request, num_clusters=9), log.append, fresh=True)
    assert len(fits) == 6


def test_one_speaker_gives_no_figure_across_speakers_and_says_so(corpus):
    write_tables(corpus / "dump/dev", 1)
    result, _ = run(request_of(corpus))
    assert {row["mode"] for row in result["rows"]} == {"within"}
    assert f"no ABX across speakers: {corpus}/dump/dev has one speaker, s0" in result["notes"]


def test_every_utterance_a_speaker_is_said(corpus):
    write_tables(corpus / "dump/dev", 1000)
    result, _ = run(request_of(corpus))
    assert any("every utterance is a speaker of its own" in note for note in result["notes"])


def test_too_few_contexts_give_no_figure_and_say_so(corpus):
    ctm = corpus / "dump/dev/phones.ctm"
    ctm.write_text("".join(ctm.read_text().splitlines(keepends=True)[:40]))
    result, _ = run(request_of(corpus))
    assert result["rows"] == []
    skipped = [note for note in result["notes"] if note.startswith("no ABX")]
    assert len(skipped) == 2 and all("at least 20 are needed" in note or "one speaker" in note for note in skipped)


def test_without_alignments_there_is_a_note_and_no_row(corpus):
    (corpus / "dump/dev/phones.ctm").unlink()
    result, log = run(request_of(corpus))
    assert result["rows"] == [] and "no phone alignments" in result["notes"][0] and "forecast" in log[0]


def test_a_limit_that_is_reached_is_said(corpus, monkeypatch):
    monkeypatch.setitem(abx_choice.MAX_TRIPLES, "default", 500)
    result, _ = run(request_of(corpus))
    assert all(row["num_triples"] <= 500 for row in result["rows"])
    assert any(" left out" in note and "triples" in note for note in result["notes"])


def test_the_limits_are_options(corpus):
    request = request_of(corpus)
    every, two, few = (
        run(replace(request, options={"abx": options}))[0]
        for options in ({"max_group": 0, "max_x": 0, "max_triples": 0}, {"max_group": 2}, {"max_triples": 500})
    )
    assert (
        every["items"]["num_items"] > two["items"]["num_items"] and "No comparison is left out" in every["subsampling"]
    )
    assert not any("of these are compared" in note for note in every["notes"])
    assert any("more than 2 times, only 2 of these are compared" in note for note in two["notes"])
    assert any("abx.max_triples is 500, 0 compares all" in note for note in few["notes"])
    with pytest.raises(UserError, match="did you mean 'max_group'"):
        run(replace(request, options={"abx": {"max_groups": 2}}))


def test_mistakes_are_named(corpus, monkeypatch):
    (corpus / "dump/dev/utt2spk").write_text("dev-000 s0\n")
    with pytest.raises(UserError, match="utt2spk: no speaker of dev-001"):
        run(request_of(corpus))
    (corpus / "dump/dev/utt2spk").unlink()
    with pytest.raises(UserError, match="utt2spk: no such file"):
        run(request_of(corpus))
    write_tables(corpus / "dump/dev", 2)
    original = abx.collect

    def diverged(*arguments):
        features = original(*arguments)
        features[:, 5] = float("nan")
        return features

    monkeypatch.setattr(abx, "collect", diverged)
    with pytest.raises(UserError, match="features of MFCC are nan"):
        run(request_of(corpus))
    assert not part_file(corpus / "exp/tiny", "abx").exists()


def test_an_unreadable_memory_is_as_good_as_none(corpus):
    request = request_of(corpus)
    memory = part_file(request.exp, "abx").parent / ".abx/rows.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"key": "of other settings", "rows": {"mfcc MFCC 0": []}}))
    assert run(request)[0]["rows"]
    part_file(request.exp, "abx").unlink()
    memory.write_text("{")
    assert run(request)[0]["rows"]
