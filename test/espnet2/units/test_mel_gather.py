"""Mel statistics: equal to those of all frames at once, for any processes and stops; refused when stale or missing."""

import json
import sys

import numpy as np
import pytest
import torch
from tiny_training import make_corpus, make_set
from trained import load_path

from espnet2.bin import ssl_mel_stats, ssl_train
from espnet2.data.index import AudioIndex
from espnet2.data.waveform import load_wav
from espnet2.pretrain.inputs import add_statistics
from espnet2.ssl.modules.mel import LogMel, MelSettings
from espnet2.ssl.modules.mel_statistics import STD_FLOOR, MelStatistics
from espnet2.tasks.build import build, statistics_settings
from espnet2.tasks.config import load_config
from espnet2.units import mel_gather
from espnet2.units.mel_gather import gather_statistics, read_statistics, statistics_path
from espnet2.utils.errors import UserError

SETTINGS = MelSettings(num_mels=20)
CORPUS_NORM = {"frontend_conf": {"mel_norm": "corpus", "num_mels": 20}}
ALL = {"max_hours": 100.0, "num_workers": 0}


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    make_set(root, "a", num_utterances=8, seed=0)
    make_set(root, "b", num_utterances=5, seed=1)
    return root / "dump"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(mel_gather, "PART_SECONDS", 2.0)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_files(dump):
    yield
    for path in dump.glob("*/mel_stats/*"):
        path.unlink()


def all_frames(*sets, settings=SETTINGS) -> torch.Tensor:
    mel = LogMel(settings)
    indexes = [AudioIndex.open(dump_set) for dump_set in sets]
    wavs = [load_wav(index, row, normalize=False) for index in indexes for row in range(len(index))]
    return torch.cat([mel(wav[None])[0] for wav in wavs]).double()


def as_written(path) -> dict:
    return json.loads(path.read_text())


def test_statistics_are_those_of_all_frames_at_once(dump):
    for name in ("a", "b"):
        gather_statistics(dump / name, SETTINGS, **ALL)
    frames = all_frames(dump / "a", dump / "b")
    total = read_statistics([dump / "a", dump / "b"], SETTINGS)
    assert total.num_frames == len(frames)
    mean, std = total.mean_and_std(per_bin=True)
    torch.testing.assert_close(mean, frames.mean(0).float())
    torch.testing.assert_close(std, frames.std(0, correction=0).float())
    mean, std = total.mean_and_std(per_bin=False)
    torch.testing.assert_close(mean, frames.mean().float().expand(20))
    torch.testing.assert_close(std, frames.std(correction=0).float().expand(20))


def test_processes_do_not_matter(dump):
    alone = as_written(gather_statistics(dump / "a", SETTINGS, **ALL))
    statistics_path(dump / "a", SETTINGS).unlink()
    lines = []
    path = gather_statistics(dump / "a", SETTINGS, max_hours=100.0, num_workers=2, tell=lines.append)
    assert as_written(path) == alone
    assert list(path.parent.iterdir()) == [path]


def test_a_stopped_run_goes_on(dump, monkeypatch):
    whole = as_written(gather_statistics(dump / "a", SETTINGS, **ALL))
    path = statistics_path(dump / "a", SETTINGS)
    path.unlink()
    compute, computed = mel_gather._compute_part, []

    def stopping(job):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(job)
        return compute(job)

    monkeypatch.setattr(mel_gather, "_compute_part", stopping)
    with pytest.raises(KeyboardInterrupt):
        gather_statistics(dump / "a", SETTINGS, **ALL)
    partial = path.with_suffix(".partial.jsonl")
    assert not path.exists() and len(partial.read_text().splitlines()) == 3
    with open(partial, "a") as stream:
        stream.write('[2, {"num_fr')  # a line cut short
    monkeypatch.setattr(mel_gather, "_compute_part", lambda job: computed.append(job) or compute(job))
    assert as_written(gather_statistics(dump / "a", SETTINGS, **ALL)) == whole
    rows = np.concatenate([job.rows for job in computed])
    assert sorted(rows) == list(range(8))  # each utterance once, before the stop or after it


def test_up_to_date_statistics_are_kept_and_others_replaced(dump, monkeypatch):
    path = gather_statistics(dump / "a", SETTINGS, **ALL)
    written = path.stat().st_mtime_ns
    monkeypatch.setattr(mel_gather, "_compute_part", lambda job: pytest.fail("computed again"))
    assert gather_statistics(dump / "a", SETTINGS, **ALL).stat().st_mtime_ns == written
    monkeypatch.undo()
    hours = AudioIndex.open(dump / "a").total_samples / 16000 / 3600
    gather_statistics(dump / "a", SETTINGS, max_hours=hours / 2.5, num_workers=0)
    assert as_written(path)["num_utterances"] == 3  # rows 0, 3 and 6


def test_statistics_that_were_cut_are_gathered_again(dump):
    gather_statistics(dump / "a", SETTINGS, **ALL)
    path = statistics_path(dump / "a", SETTINGS)
    whole = path.read_text()
    path.write_text(whole[:30])
    with pytest.raises(UserError, match=r"json:\d+: damaged or cut short .*; run stage 6"):
        read_statistics([dump / "a"], SETTINGS)
    path.write_text(whole.replace('"mean"', '"man"'))
    with pytest.raises(UserError, match=r"json: lacks 'statistics.mean': .*; run stage 6"):
        read_statistics([dump / "a"], SETTINGS)
    gather_statistics(dump / "a", SETTINGS, **ALL)
    assert path.read_text() == whole


def test_a_thinned_set_counts_as_much_as_a_whole_one(dump):
    hours = AudioIndex.open(dump / "a").total_samples / 16000 / 3600
    gather_statistics(dump / "a", SETTINGS, max_hours=hours / 1.5, num_workers=0)
    gather_statistics(dump / "b", SETTINGS, **ALL)
    thinned, whole = read_statistics([dump / "a"], SETTINGS), len(all_frames(dump / "a"))
    assert abs(thinned.num_frames - whole) < 0.03 * whole
    both = read_statistics([dump / "a", dump / "b"], SETTINGS)
    assert both.num_frames == thinned.num_frames + len(all_frames(dump / "b"))


def test_a_bin_that_never_varies_does_not_blow_up():
    _, std = MelStatistics.of(torch.full((10, 3), -15.9)).mean_and_std(per_bin=True)
    assert std.tolist() == pytest.approx([STD_FLOOR] * 3)


def test_what_does_not_fit_is_refused(dump, tmp_path):
    with pytest.raises(UserError, match=r"mel_stats/.*json is missing: mel_norm corpus needs .*; run stage 6"):
        read_statistics([dump / "a"], SETTINGS)
    with pytest.raises(UserError, match="the audio has 16000 Hz, frontend_conf says sample_rate 8000"):
        gather_statistics(dump / "a", MelSettings(8000, 20), **ALL)
    make_set(tmp_path, "a", num_utterances=3, seed=0)
    path = gather_statistics(tmp_path / "dump/a", SETTINGS, **ALL)
    value = as_written(path)
    value["card"]["index"] = "of another set"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match="the set changed since these statistics were gathered"):
        read_statistics([tmp_path / "dump/a"], SETTINGS)
    (tmp_path / "dump/a/audio/a-001.wav").unlink()
    for num_workers in (0, 2):
        with pytest.raises(UserError, match="a-001"):
            gather_statistics(tmp_path / "dump/a", SETTINGS, max_hours=100.0, num_workers=num_workers)


def test_a_config_says_what_it_needs(dump):
    overrides = ["--loss", "[{name: hubert, conf: {num_classes: 5}}]", "--frontend"]
    assert statistics_settings(load_config(None, [*overrides, "conv"])) is None
    assert statistics_settings(load_config(None, [*overrides, "fbank"])) is None
    corpus = [*overrides, "fbank", "--frontend_conf", "mel_norm=corpus", "num_mels=20"]
    assert statistics_settings(load_config(None, corpus)) == SETTINGS
    config = load_config(None, [*overrides, "fbank", "--encoder_conf.num_layers", "1"])
    add_statistics(config, build(config), ["no set at all"])


def run(module, words, monkeypatch) -> int | None:
    monkeypatch.setattr(sys, "argv", ["program", *words])
    return module.main()


def test_training_takes_them_and_the_model_keeps_them(tmp_path, monkeypatch, capsys):
    paths = make_corpus(tmp_path, num_train=6, num_valid=2, max_update=2, **CORPUS_NORM)
    words = ["--config", str(tmp_path / "conf.yaml"), "--train_sets", paths.train_sets[0]]
    training = [*words, "--valid_sets", paths.valid_sets[0], "--output_dir", str(tmp_path / "exp")]
    training += ["--train_labels", paths.train_labels[0], "--valid_labels", paths.valid_labels[0]]
    with pytest.raises(UserError, match="is missing: mel_norm corpus"):
        run(ssl_train, training, monkeypatch)
    run(ssl_mel_stats, [*words, "--frontend_conf", "mel_norm=utterance"], monkeypatch)
    assert "skipped" in capsys.readouterr().err and not (tmp_path / "dump/train/mel_stats").exists()
    run(ssl_mel_stats, [*words, "--workers", "0"], monkeypatch)
    assert "deviation" in capsys.readouterr().err
    run(ssl_train, training, monkeypatch)
    frames = all_frames(tmp_path / "dump/train")
    for path in tmp_path.glob("dump/*/mel_stats/*"):
        path.unlink()  # from here on the checkpoint's own count
    frontend = load_path(tmp_path / "exp").model.frontend
    torch.testing.assert_close(frontend.mel_mean, frames.mean(0).float())
    torch.testing.assert_close(frontend.mel_std, frames.std(0, correction=0).float())
    # A model that goes on has its own, and asks for none of the new audio.
    onward = [*training, "--output_dir", str(tmp_path / "onward"), "--init_from", str(tmp_path / "exp")]
    run(ssl_mel_stats, [*words, "--init_from", str(tmp_path / "exp")], monkeypatch)
    assert "init_from has them" in capsys.readouterr().err and not list(tmp_path.glob("dump/*/mel_stats/*"))
    run(ssl_train, onward, monkeypatch)
    again = load_path(tmp_path / "onward").model.frontend
    assert torch.equal(again.mel_mean, frontend.mel_mean) and torch.equal(again.mel_std, frontend.mel_std)
