"""Every program with whole inputs, all small: what it is called with, what it reads, and which files are its result."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

TABLES = ("wav.scp", "utt2num_samples", "utt2stats", "utt2spk")
INDEX = "index/index.json"


@dataclass(frozen=True)
class Program:
    """One call of one program, in a copy of the workspace; its results are below out/."""

    name: str  # espnet2.bin.<name>
    words: tuple[str, ...]
    inputs: tuple[str, ...]  # files that it reads
    results: tuple[str, ...] = ("out/**/*",)  # globs of what must not change in silence
    title: str = ""

    def digest(self, folder: Path) -> str:
        """Of the results; what tells the time or the place is not among them."""
        digest = hashlib.sha256()
        for path in sorted({path for pattern in self.results for path in folder.glob(pattern) if path.is_file()}):
            digest.update(str(path.relative_to(folder)).encode() + path.read_bytes().replace(str(folder).encode(), b""))
        return digest.hexdigest()


def in_dump(*names: str, dset: str = "train") -> tuple[str, ...]:
    """Files of dump/<set>."""
    return tuple(f"dump/{dset}/{name}" for name in names)


MODEL = ("exp/tiny/config.yaml", "exp/tiny/checkpoints/update_1/model.safetensors")
KMEANS = ("exp/km/card.json", "exp/km/centroids.safetensors")
AUDIO = "dump/train/audio/train-000.wav"
TRAIN_WORDS = tuple(
    "--config conf.yaml --train_sets dump/train --valid_sets dump/valid --train_labels labels/train "
    "--valid_labels labels/valid --output_dir out --max_update 2 --valid_interval_updates 2".split()
)
# "<file>: <damage>": other transcripts, one label less (a tolerance of one frame), phones less: all may be meant.
MEANT = (
    *(f"transcript: {damage}" for damage in ("cut", "a web page", "a line is gone", "a line stands twice",
                                             "words are swapped", "a word is gone")),
    *(f"{name}: a word is gone" for name in ("text", "units.txt")),
    *(f"phones.ctm: {damage}" for damage in ("a line is gone", "cut", "an odd number")),
)  # fmt: skip
CHECKPOINT = ("out/checkpoints/latest/model.safetensors",)

PROGRAMS = (
    Program("ssl_format_audio", ("--prepare", "--fs", "16k", "--audio_format", "wav", "data/set", "out"),
            ("data/set/wav.scp", "data/set/utt2spk", "data/set/segments"), (), title="prepare"),  # only a plan
    Program("ssl_filter_audio", ("dump/train", "out"), in_dump(*TABLES, "format.json"),
            ("out/wav.scp", "out/utt2num_samples")),
    Program("ssl_build_index", ("dump/train",), in_dump(*TABLES, "format.json", INDEX), ("dump/train/index/*",)),
    Program("ssl_import_labels", ("--dump_set", "dump/train", "--text", "text", "--token_list", "tokens.txt",
                                  "--output", "out"), ("text", "tokens.txt", *in_dump(INDEX))),
    Program("ssl_sample_features", ("--dump_sets", "dump/train", "--feature", "mfcc", "--output_dir", "out"),
            (*in_dump(INDEX, "index/utt_ids.bin", "index/num_samples.npy"), AUDIO), ("out/*.npy",)),
    Program("ssl_kmeans_labels", ("exp/km", "dump/train"), (*KMEANS, *MODEL, *in_dump(INDEX)), ("exp/km/labels/**/*",)),
    Program("ssl_soft_labels", ("--temperature", "1", "--top_k", "2", "exp/km", "dump/train", "out"),
            (*KMEANS, *MODEL, *in_dump(INDEX))),
    Program("ssl_join_labels", ("labels/train", "labels/again", "--output", "out"),
            tuple(f"labels/train/{name}" for name in ("labels.json", "labels.npy", "offsets.npy"))),
    Program("ssl_dump_features", ("--model", "exp/tiny", "--layers", "1", "--format", "npy", "dump/train", "out"),
            (*MODEL, "dump/train/wav.scp", AUDIO), ("out/**/*.npy", "out/*.scp")),
    Program("ssl_dump_labels", ("--kmeans", "exp/km", "dump/train", "out"), (*KMEANS, *MODEL, "dump/train/wav.scp"),
            ("out/units.txt", "out/text")),
    Program("ssl_unit_quality", ("--labels", "units.txt", "--label_rate", "50", "--phones", "dump/train/phones.ctm",
                                 "--json", "out/figures.json"), ("units.txt", "dump/train/phones.ctm")),
    Program("ssl_evaluate_units", ("--train_set", "dump/train", "--valid_set", "dump/valid", "--rows", "mfcc",
                                   "--seeds", "0", "--num_clusters", "4", "--output", "out/units"),
            (*in_dump("phones.ctm", INDEX), *in_dump("phones.ctm", dset="valid"))),
    Program("ssl_export", ("--model", "exp/tiny", "--to", "safetensors", "--output", "out/exported"), MODEL,
            ("out/exported/model.safetensors",)),
    Program("ssl_pack", ("--unpack", "packed.tar.gz", "--output", "out/unpacked"), ("packed.tar.gz",)),
    Program("ssl_dump_features", ("--model", "packed", "--layers", "1", "--format", "npy", "dump/valid", "out"),
            ("packed/card.json", "packed/config.yaml", "packed/model.safetensors"), ("out/**/*.npy", "out/*.scp"),
            title="packed"),
    Program("ssl_report", ("exp/tiny",), ("exp/tiny/config.yaml", "exp/tiny/history.jsonl", "exp/tiny/eval/units.json"),
            ()),  # the page itself says what is missing
    Program("ssl_train", TRAIN_WORDS, ("conf.yaml", *in_dump(INDEX), "labels/train/labels.json", AUDIO), CHECKPOINT),
    Program("ssl_mel_stats", ("--config", "fbank.yaml", "--train_sets", "dump/train", "--workers", "1"),
            ("fbank.yaml", *in_dump(INDEX)), ("dump/train/mel_stats/*",)),
    Program("tokenize_text", ("--input", "transcript", "--output", "out/tokens.txt", "--token_type", "char",
                              "--write_vocabulary", "true"), ("transcript",)),
)  # fmt: skip


def make_workspace(folder: Path) -> None:
    """Whole inputs of all programs."""
    from tiny_packed import write_kmeans
    from tiny_training import make_corpus
    from tiny_units import run_program, write_experiment, write_phones

    make_corpus(folder, num_train=8, num_valid=4)
    for dset in ("train", "valid"):
        write_phones(folder / "dump" / dset)
    shutil.copytree(folder / "labels/train", folder / "labels/again")
    model = write_experiment(folder / "exp/tiny")
    write_kmeans(folder / "exp/km", model)
    (folder / "exp/tiny/history.jsonl").write_text('{"dataset": "train", "update": 1, "loss": 2.0}\n')
    sets = ("--train_set", folder / "dump/train", "--valid_set", folder / "dump/valid")
    run_program("ssl_evaluate", *sets, "--parts", "units", "--num_clusters", 4, "--layers", 1, model)
    (folder / "fbank.yaml").write_text((folder / "conf.yaml").read_text())
    data = folder / "data/set"
    data.mkdir(parents=True)
    for number in range(3):
        soundfile.write(data / f"r{number}.wav", 0.1 * np.random.default_rng(number).standard_normal(16000), 16000)
    (data / "wav.scp").write_text("".join(f"r{number} {data}/r{number}.wav\n" for number in range(3)))
    (data / "segments").write_text("".join(f"u{number} r{number} 0.1 0.9\n" for number in range(3)))
    (data / "utt2spk").write_text("".join(f"u{number} u{number}\n" for number in range(3)))
    _write_labels(folder)
    run_program("ssl_pack", "--model", model, "--output", folder / "packed", "--formats", "")
    (folder / "transcript").write_text("a one two\nb two three\nc ein Wort\n")


def _write_labels(folder: Path) -> None:
    """text and units.txt: a label for each frame of dump/train, and the token list."""
    from espnet2.data.index import AudioIndex

    index, chance = AudioIndex.open(folder / "dump/train"), np.random.default_rng(0)
    lines = []
    for row in range(len(index)):
        labels = chance.integers(0, 5, (int(index.num_samples[row]) - 400) // 320 + 1)
        lines.append(f"{index.utt_id(row)} {' '.join(map(str, labels))}\n")
    for name in ("text", "units.txt"):
        (folder / name).write_text("".join(lines))
    (folder / "tokens.txt").write_text("".join(f"{number}\n" for number in range(5)))


Prepare = Callable[[Path], None]
