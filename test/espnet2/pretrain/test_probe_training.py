"""Tiny trainings with the probe in; weights as without it, and the same figures after a kill and on two ranks, out."""

import json
import signal
from functools import partial
from pathlib import Path

import pytest
from tiny_training import command_line, make_corpus
from training_faults import signal_at_event
from training_process import run_ranks, run_training

PROBE = {"num_clusters": 5, "seconds": 8.0}
SETTINGS = {
    "max_update": 8,
    "batch_bins": 24000,
    "accum_grad": 2,
    "valid_interval_updates": 4,
    "save_interval_updates": 2,
    "valid_batch_bins": 60000,
}
FIGURES = {"probe_mfcc_information", "probe_rank"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("probe_training")
    return root, make_corpus(root, probe=PROBE, **SETTINGS)


def words(corpus, name: str, *more: str) -> list[str]:
    root, paths = corpus
    return [*command_line(paths, root, root / name), *more]


@pytest.fixture(scope="module")
def probed(corpus):
    root, _ = corpus
    criterion = "[[valid, probe_rank, max]]"
    assert run_training(words(corpus, "probed", "--best_model_criterion", criterion), log=root / "probed.log") == 0
    return root / "probed"


def rows(experiment) -> list[dict]:
    """Validations of the history, the figures of the probe alone."""
    lines = map(json.loads, (experiment / "history.jsonl").read_text().splitlines())
    return [{name: line[name] for name in line if "probe" in name} for line in lines if line["dataset"] == "valid"]


def files_of_state(experiment) -> list[bytes]:
    folder = experiment / "checkpoints/latest"
    return [(folder / name).read_bytes() for name in ("model.safetensors", "state/optimizer.pt")]


def test_figures_are_reported_everywhere(probed):
    assert [set(row) for row in rows(probed)] == [FIGURES, FIGURES]
    log = (probed / "train.log").read_text()
    assert "probe: layer 1, " in log and "no phones.ctm" in log
    assert "probe_rank" in next(line for line in log.splitlines() if "validation at update 4" in line)
    assert {f"{name}.png" for name in FIGURES} <= {path.name for path in (probed / "images").iterdir()}
    assert json.loads((probed / "train.done").read_text())["valid"].items() >= rows(probed)[-1].items()
    assert (probed / "checkpoints/best_probe_rank").exists()


def test_weights_are_those_of_a_training_without_probe(corpus, probed):
    root, _ = corpus
    assert run_training(words(corpus, "plain", "--probe.enabled", "false"), log=root / "plain.log") == 0
    assert files_of_state(root / "plain") == files_of_state(probed)
    assert rows(root / "plain") == [{}, {}]


def test_killed_and_resumed_it_finds_the_same(corpus, probed):
    root, _ = corpus
    kill = partial(signal_at_event, 25)
    assert run_training(words(corpus, "killed"), log=root / "killed.log", prepare=kill) == -signal.SIGKILL
    assert run_training(words(corpus, "killed"), log=root / "killed.log") == 0
    assert "going on from update" in (root / "killed/train.log").read_text()
    assert rows(root / "killed") == rows(probed)
    assert files_of_state(root / "killed") == files_of_state(probed)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_ranks_find_what_one_finds(corpus, probed, mode):
    """Replicated, the first rank computes alone; sharded, both do: neither waits for ever."""
    root, _ = corpus
    more = ["--batch_bins", "48000", "--accum_grad", "1", "--fsdp", str(mode == "fsdp").lower()]
    assert run_ranks(words(corpus, mode, *more), 2, log=root / mode) == [0, 0], (root / f"{mode}.0.log").read_text()
    ours, theirs = rows(root / mode), rows(probed)
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert set(mine) == FIGURES
        assert mine["probe_rank"] == pytest.approx(other["probe_rank"], rel=1e-3)
        assert mine["probe_mfcc_information"] == pytest.approx(other["probe_mfcc_information"], abs=0.02)


def test_a_layer_that_is_not_there_is_refused_and_a_broken_alignment_is_not(corpus):
    root, paths = corpus
    assert run_training(words(corpus, "layer", "--probe.layer", "3"), log=root / "layer.log") == 2
    assert "probe: layer is 3, but the encoder has 2 layers" in (root / "layer.log").read_text()
    table = Path(paths.valid_sets[0]) / "phones.ctm"
    table.write_text("nobody 1 0.0 0.5 a\n")
    try:
        assert run_training(words(corpus, "phones", "--max_update", "1"), log=root / "phones.log") == 0
    finally:
        table.unlink()
    assert "another corpus" in (root / "phones/train.log").read_text()
    assert set(rows(root / "phones")[0]) == FIGURES
