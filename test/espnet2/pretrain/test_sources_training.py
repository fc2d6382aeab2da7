"""The same audio as files, in an ark, a tar, Parquet, one long file and on a server: HuBERT mini has the same bits."""

from pathlib import Path

import pytest
import soundfile
import yaml
from audio_sources import SOURCES, as_tar
from range_server import serve
from repository import ROOT
from tiny_training import NUM_CLASSES, command_line, make_set
from training_process import run_training

from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.labels.packed import PackedLabels, pack_labels
from espnet2.pretrain.inputs import DataPaths
from espnet2.utils.kaldi_table import read_table, write_table

UPDATES = {"max_update": 3, "batch_bins": 24000, "max_seconds": 1.2, "valid_interval_updates": 3, "num_threads": 1}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The corpus as files, and the weights that come of it."""
    root = tmp_path_factory.mktemp("plain")
    for name, count in (("train", 12), ("valid", 3)):
        make_set(root, name, num_utterances=count, seed=count)
    config = yaml.safe_load((ROOT / "egs2/TEMPLATE/ssl1/conf/train_hubert_mini.yaml").read_text())
    config["encoder_conf"] |= {"num_layers": 1, "dim": 48, "ffn_dim": 96}
    (root / "conf.yaml").write_text(yaml.safe_dump({**config, **UPDATES, "num_workers": 1}))
    return root, train(root, root)


def train(root: Path, config_root: Path) -> bytes:
    paths = DataPaths(*([str(root / kind / name)] for kind in ("dump", "labels") for name in ("train", "valid")))
    words = command_line(paths, config_root, root / "exp")
    assert run_training(words, log=root / "log") == 0, (root / "log").read_text()[-2000:]
    return (root / "exp/checkpoints/latest/model.safetensors").read_bytes()


def move(plain: Path, root: Path, name: str, entries: dict[str, str]) -> None:
    """dump/<name> and labels/<name> of `plain`, with other entries."""
    source, target = plain / "dump" / name, root / "dump" / name
    target.mkdir(parents=True)
    for table in ("utt2num_samples", "utt2stats", "utt2spk", "format.json"):
        (target / table).write_bytes((source / table).read_bytes())
    write_table(target / "wav.scp", entries.items())
    labels = PackedLabels.open(plain / "labels" / name)
    index = AudioIndex(build_index(target))
    pack_labels(
        [labels.labels(row) for row in range(len(index))],
        root / "labels" / name,
        num_classes=NUM_CLASSES,
        label_rate=labels.label_rate,
        index_hash=index.hash,
    )


@pytest.mark.parametrize("source", [*SOURCES, "server"])
def test_the_weights_have_the_same_bits(plain, tmp_path, monkeypatch, source):
    root, expected = plain
    monkeypatch.setenv("AUDIO_CACHE_DIR", str(tmp_path / "cache"))
    with serve(tmp_path) as server:
        for name in ("train", "valid"):
            files = {utt_id: Path(entry) for utt_id, entry in read_table(root / "dump" / name / "wav.scp").items()}
            (tmp_path / name).mkdir()
            entries = SOURCES.get(source, as_tar)(files, tmp_path / name)
            if source == "server":
                entries = {utt: entry.replace(str(tmp_path), server.address) for utt, entry in entries.items()}
            move(root, tmp_path, name, entries)
        assert train(tmp_path, root) == expected
        assert (source == "server") == bool(server.ranges)


def test_other_audio_gives_other_bits(plain, tmp_path):
    """So that the test above can fail."""
    root, expected = plain
    for name in ("train", "valid"):
        entries = read_table(root / "dump" / name / "wav.scp")
        if name == "train":
            for utt_id, entry in entries.items():
                wave, rate = soundfile.read(entry, dtype="int16")
                entries[utt_id] = str(tmp_path / f"{utt_id}.wav")
                soundfile.write(entries[utt_id], wave[::-1], rate)
        move(root, tmp_path, name, entries)
    assert train(tmp_path, root) != expected
