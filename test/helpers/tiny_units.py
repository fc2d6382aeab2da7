"""A folder in, phones of a tiny set, an experiment with an untrained model, and programs run in this process out."""

import importlib
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from safetensors.torch import save_file
from tiny_model import tiny_config, tiny_model

from espnet2.data.index import AudioIndex
from espnet2.tasks.config import dump_config


def write_phones(dump_set: Path) -> None:
    """phones.ctm with phones of 0.1 s, in turn: they mean nothing, but they cover every frame."""
    index = AudioIndex.open(dump_set)
    lines = []
    for row in range(len(index)):
        count = int(index.num_samples[row] // 1600) + 1
        lines += [f"{index.utt_id(row)} 1 {i / 10:.2f} 0.10 {'abc'[i % 3]}\n" for i in range(count)]
    (dump_set / "phones.ctm").write_text("".join(lines), encoding="utf-8")


def write_experiment(folder: Path, objective: str = "hubert", *, seed: int = 0, **options: Any) -> Path:
    """exp/<name> as the trainer leaves it: config.yaml, checkpoints/update_1/, checkpoints/latest.

    Args:
        options: of `tiny_config`.
    """
    weights = folder / "checkpoints" / "update_1"
    weights.mkdir(parents=True, exist_ok=True)
    save_file(tiny_model(objective, seed=seed, **options).state_dict(), weights / "model.safetensors")
    (folder / "config.yaml").write_text(dump_config(tiny_config(objective, **options)), encoding="utf-8")
    latest = weights.parent / "latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(weights.name)
    return folder


def run_program(name: str, *words: object) -> int:
    """Call main() of espnet2.bin.<name>; its status. Mistakes of the user come as UserError, not as an exit."""
    module = importlib.import_module(f"espnet2.bin.{name}")
    with mock.patch.object(sys, "argv", [name, *map(str, words)]):
        return module.main() or 0
