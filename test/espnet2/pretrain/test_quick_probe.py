"""Hand-made features and a tiny valid set in; what the probe finds, and which audio it takes, out."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from tiny_training import make_set, write_config

from espnet2.data.index import open_indexes
from espnet2.pretrain.probe import effective_rank, find_alignments, open_probe, probed_layer
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config
from espnet2.train.config import ProbeConfig
from espnet2.utils.errors import UserError

PHONES = ("a", "b", "sil")
SMALL = ProbeConfig(num_clusters=5, seconds=8.0)


def write_phones(folder, index, *, shift: int = 0) -> None:
    """Three phones per utterance, as long as each other."""
    lines = []
    for row in range(len(index)):
        length = index.num_samples[row] / index.sample_rate / 3
        lines += [f"{index.utt_id(row)} 1 {k * length:.4f} {length:.4f} {PHONES[(k + shift) % 3]}" for k in range(3)]
    (folder / "phones.ctm").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two sets with phones, one without; and a model."""
    root = tmp_path_factory.mktemp("probe")
    for number, name in enumerate(("one", "two", "bare")):
        make_set(root, name, num_utterances=6, seed=number)
    folders = {name: root / "dump" / name for name in ("one", "two", "bare")}
    for shift, name in enumerate(("one", "two")):
        write_phones(folders[name], open_indexes([folders[name]]), shift=shift)
    torch.manual_seed(0)
    return folders, build(load_config(write_config(root)), num_classes=5)


def test_information_is_the_library_s_and_perfect_units_have_all_of_it(sets):
    folders, model = sets
    probe, line = open_probe(SMALL, open_indexes([folders["one"], folders["two"]]), model, 1000.0)
    assert probe.names == ("probe_pnmi", "probe_rank") and "probe_pnmi" in line
    phones = probe.frames.phones
    known = phones >= 0
    units = np.random.default_rng(0).integers(0, 5, len(phones))
    _, counts = np.unique(phones[known], return_counts=True)
    shares = counts / counts.sum()
    expected = mutual_info_score(phones[known], units[known]) / -(shares * np.log(shares)).sum()
    assert probe.information(units) == pytest.approx(expected, rel=1e-9)
    noise = 1e-3 * torch.randn(len(phones), 3, generator=torch.Generator().manual_seed(0))
    told = torch.eye(3)[torch.from_numpy(phones).clamp(min=0)] + noise
    assert probe.figures(told)["probe_pnmi"] == pytest.approx(1.0)
    assert probe.figures(torch.randn(noise.shape, generator=torch.Generator().manual_seed(1)))["probe_pnmi"] < 0.1


def test_phones_of_several_sets_share_their_names(sets):
    """The second set's file begins with another phone: equal names must be equal ids."""
    folders, _ = sets
    index = open_indexes([folders["one"], folders["two"]])
    alignments, reason = find_alignments(index)
    assert reason == "" and sorted(alignments) == list(range(12))
    assert alignments[0].phones.tolist() == [0, 1, 2] and alignments[6].phones.tolist() == [1, 2, 0]


def test_only_utterances_with_phones_are_taken_where_there_are_any(sets):
    folders, model = sets
    probe, _ = open_probe(SMALL, open_indexes([folders["bare"], folders["one"]]), model, 1000.0)
    assert probe.frames.rows.min() >= 6


@pytest.mark.parametrize("phones", [None, "other-1 1 0.0 0.5 a\n", "broken\n"])
def test_without_phones_of_this_audio_it_compares_with_mfcc_and_says_why(sets, phones):
    folders, model = sets
    path = folders["bare"] / "phones.ctm"
    path.unlink(missing_ok=True)
    if phones:
        path.write_text(phones)
    try:
        probe, line = open_probe(SMALL, open_indexes([folders["bare"]]), model, 1000.0)
    finally:
        path.unlink(missing_ok=True)
    reason = {None: "no phones.ctm", "other-1 1 0.0 0.5 a\n": "another corpus", "broken\n": "phones.ctm:1"}[phones]
    assert reason in line
    assert probe.names == ("probe_mfcc_information", "probe_rank")
    assert probe.information(probe.mfcc_units) == pytest.approx(1.0)
    assert probe.information(np.zeros_like(probe.mfcc_units)) == 0.0


def test_the_cost_is_bounded_and_stated(sets):
    folders, model = sets
    index = open_indexes([folders["one"]])
    seconds = np.asarray(index.num_samples) / index.sample_rate
    probe, line = open_probe(ProbeConfig(num_clusters=2, seconds=4.0), index, model, 100.0)
    assert 2.0 < probe.seconds <= 4.0 < seconds.sum()
    assert f"costs about {100 * probe.seconds / 300:.1f} %" in line


def test_what_cannot_be_probed(sets):
    folders, model = sets
    index = open_indexes([folders["one"]])
    probe, line = open_probe(ProbeConfig(), index, model, 1000.0)
    assert probe is None and "50 clusters need 1000" in line
    assert open_probe(ProbeConfig(enabled=False), index, model, 1000.0) == (None, "probe: off (probe.enabled is false)")
    with pytest.raises(UserError, match="layer is 3, but the encoder has 2"):
        open_probe(ProbeConfig(layer=3), index, model, 1000.0)
    assert [probed_layer(ProbeConfig(), depth) for depth in (1, 3, 12, 24)] == [1, 2, 8, 16]
    probe, _ = open_probe(SMALL, index, model, 1000.0)
    frames = len(probe.frames.phones)
    with pytest.raises(UserError, match="fewer distinct frames"):
        probe.figures(torch.ones(frames, 4))
    with pytest.raises(UserError, match="nan or inf"):
        probe.figures(torch.full((frames, 4), float("nan")))


def test_effective_rank_counts_dimensions():
    draws = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert effective_rank(draws) == pytest.approx(6.0, rel=1e-3)
    assert effective_rank(draws[:, :1] * torch.ones(1, 5) + 100) == pytest.approx(1.0, abs=1e-3)
    values = np.linalg.svd(np.asarray(draws * torch.arange(1.0, 7.0) - (draws * torch.arange(1.0, 7.0)).mean(0)))[1]
    shares = values / values.sum()
    assert effective_rank(draws * torch.arange(1.0, 7.0)) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
