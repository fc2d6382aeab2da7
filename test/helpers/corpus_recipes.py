"""A recipe of egs2/ and a corpus that a test made in, its tables and what its stages print out."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from recipe_folders import contents, refuse, succeed

# Everything small, no labels: what a recipe's own stages cost is all that remains.
TINY_CONFIG = """# BEST-RQ for tests only: two updates of a tiny model.
frontend: fbank
encoder: transformer
encoder_conf: {num_layers: 1, dim: 16, num_heads: 2, ffn_dim: 16, position_kernel: 16, position_groups: 2}
loss:
    - name: best_rq
      conf: {num_codes: 16, mask_start_prob: 0.1, mask_span: 10}
optim: adamw
optim_conf: {lr: 1.0e-3}
scheduler: linear
batch_bins: 32000
max_seconds: 1.0
max_update: 2
valid_interval_updates: 2
num_workers: 0
num_threads: 1
"""


@dataclass(frozen=True)
class CorpusRecipe:
    """egs2/<corpus>/{ssl1,hubert1} outside the repository: `folder` has both."""

    folder: Path

    @property
    def ssl1(self) -> Path:
        return self.folder / "ssl1"

    def prepare(self, *options: str | Path, **environment: str) -> str:
        """Run local/data.sh, which must succeed; what it printed."""
        return succeed(self.ssl1, "local/data.sh", *map(str, options), **environment)

    def refuse(self, *options: str | Path, **environment: str) -> str:
        """Run local/data.sh, which must fail with one clear error; what it printed."""
        return refuse(self.ssl1, "local/data.sh", *map(str, options), **environment)

    def sets(self) -> list[str]:
        """The names of the folders of data/ that hold tables."""
        return sorted(path.parent.name for path in (self.ssl1 / "data").glob("[!.]*/wav.scp"))

    def tables(self, dset: str) -> dict[str, list[str]]:
        """The lines of each table of data/<set>, by its name."""
        folder = self.ssl1 / "data" / dset
        return {path.name: path.read_text(encoding="utf-8").splitlines() for path in folder.iterdir() if path.is_file()}

    def prepare_with_any_nj(self, *options: str | Path) -> None:
        """Run local/data.sh with --nj 3 and --nj 1: both must make the same data/, sorted, and nothing beside it."""
        self.prepare(*options, "--nj", "3")
        first = contents(self.ssl1 / "data")
        assert first and not [name for name in first if name.startswith(".")], first.keys()
        for dset in self.sets():
            for name, lines in self.tables(dset).items():
                keys = [line.split(" ", 1)[0].encode() for line in lines]
                assert keys == sorted(keys), f"{dset}/{name}"
        self.prepare(*options, "--nj", "1")
        assert contents(self.ssl1 / "data") == first

    def train(self, local_data_opts: str, *options: str) -> str:
        """Stages 1 to 4 and 6, then a training of two updates, with run.sh's own sets unless options name others."""
        (self.ssl1 / "conf").mkdir(exist_ok=True)
        (self.ssl1 / "conf" / "train_best_rq_tiny.yaml").write_text(TINY_CONFIG)
        common = ["--train_config", "conf/train_best_rq_tiny.yaml", "--pseudo_labels", "", "--ngpu", "0", "--nj", "2"]
        common += ["--local_data_opts", local_data_opts, "--min_wav_duration", "0.1", *options]
        output = succeed(self.ssl1, "./run.sh", *common, "--stage", "1", "--stop_stage", "4")
        output += succeed(self.ssl1, "./run.sh", *common, "--stage", "6", "--stop_stage", "7")
        assert (self.ssl1 / "exp/ssl_best_rq_tiny/checkpoints/update_2/model.safetensors").exists(), output
        return output


def write_audio(path: Path, seconds: float = 0.5, rate: int = 16000, seed: int = 0, channels: int = 1) -> Path:
    """Write noise of that length in the format that the suffix names, folders included. Returns the path.

    .sph and .SPH become RIFF under that name: write NIST headers where they matter.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal((int(seconds * rate), channels)).astype(np.float32)
    formats = {".flac": "FLAC", ".ogg": "OGG", ".mp3": "MP3", ".opus": "OGG"}
    suffix = path.suffix.lower()
    subtype = "OPUS" if suffix == ".opus" else None
    soundfile.write(path, samples, rate, format=formats.get(suffix, "WAV"), subtype=subtype)
    return path


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write a text file, folders included. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
