"""A folder in, a tiny corpus of noise with index, labels and a training config out: trains on a CPU in seconds."""

from pathlib import Path

import numpy as np
import soundfile
import yaml

from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.labels.packed import pack_labels
from espnet2.pretrain.inputs import DataPaths
from espnet2.utils.files import write_json
from espnet2.utils.kaldi_table import write_table

SAMPLE_RATE = 16000
NUM_CLASSES = 5
LABEL_RATE = 50  # labels per second, the frame rate of both frontends

TINY_CONFIG = {
    "frontend": "fbank",
    "encoder": "transformer",
    "encoder_conf": {
        "num_layers": 2,
        "dim": 16,
        "num_heads": 2,
        "ffn_dim": 32,
        "position_kernel": 4,
        "position_groups": 2,
        "dropout": 0.1,
        "layerdrop": 0.2,
    },
    "loss": [{"name": "hubert", "conf": {"mask_span": 4, "label_dim": 8}}],
    "optim_conf": {"lr": 1.0e-3},
    "scheduler": "linear",
    "batch_bins": 32000,
    "max_seconds": 1.5,
    "max_update": 8,
    "num_workers": 0,
    "log_interval_updates": 2,
    "valid_interval_updates": 4,
    "dtype": "fp32",  # in bf16, which some processors would take, other batches round otherwise
    "num_threads": 1,
}


def make_set(root: Path, name: str, *, num_utterances: int, seed: int = 0) -> None:
    """dump/<name> with index, and labels/<name>: utterances of 0.6 to 1.6 s, labels that follow the loudness."""
    random = np.random.default_rng(seed)
    folder = root / "dump" / name
    (folder / "audio").mkdir(parents=True)
    rows, labels = [], []
    for number in range(num_utterances):
        num_labels = int(random.integers(30, 80))
        classes = np.repeat(random.integers(0, NUM_CLASSES, num_labels // 5 + 1), 5)[:num_labels]
        loudness = np.repeat(0.02 * (1 + classes), SAMPLE_RATE // LABEL_RATE)
        wav = loudness * random.standard_normal(len(loudness))
        path = folder / "audio" / f"{name}-{number:03d}.wav"
        soundfile.write(path, wav, SAMPLE_RATE)
        rows.append((f"{name}-{number:03d}", str(path), len(wav), float(wav.mean()), float(wav.var())))
        labels.append(classes[: (len(wav) - 400) // 320 + 1])
    write_table(folder / "wav.scp", ((utt, path) for utt, path, *_ in rows))
    write_table(folder / "utt2num_samples", ((utt, str(length)) for utt, _, length, *_ in rows))
    write_table(folder / "utt2stats", ((utt, f"{mean:.9g} {variance:.9g}") for utt, *_, mean, variance in rows))
    write_table(folder / "utt2spk", ((utt, utt) for utt, *_ in rows))
    write_json(folder / "format.json", {"sample_rate": SAMPLE_RATE, "audio_format": "wav"})
    build_index(folder)
    pack_labels(
        labels,
        root / "labels" / name,
        num_classes=NUM_CLASSES,
        label_rate=LABEL_RATE,
        index_hash=AudioIndex.open(folder).hash,
    )


def make_corpus(root: Path, *, num_train: int = 24, num_valid: int = 6, **config: object) -> DataPaths:
    """Both sets and conf.yaml (TINY_CONFIG with changes)."""
    make_set(root, "train", num_utterances=num_train, seed=0)
    make_set(root, "valid", num_utterances=num_valid, seed=1)
    write_config(root, **config)
    return DataPaths(
        [str(root / "dump/train")],
        [str(root / "dump/valid")],
        [str(root / "labels/train")],
        [str(root / "labels/valid")],
    )


def write_config(root: Path, name: str = "conf", **config: object) -> Path:
    """<name>.yaml: TINY_CONFIG with changes."""
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**TINY_CONFIG, **config}), encoding="utf-8")
    return path


def command_line(paths: DataPaths, root: Path, output_dir: Path, name: str = "conf") -> list[str]:
    """The arguments of ssl_train with <name>.yaml."""
    return [
        "--config", str(root / f"{name}.yaml"),
        "--train_sets", " ".join(paths.train_sets),
        "--valid_sets", " ".join(paths.valid_sets),
        "--train_labels", " ".join(paths.train_labels),
        "--valid_labels", " ".join(paths.valid_labels),
        "--output_dir", str(output_dir),
    ]  # fmt: skip
