"""A folder in, an experiment as training and evaluation leave it, with hand-made figures, out."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tiny_model import tiny_config

from espnet2.tasks.config import dump_config

PHONES = ["a", "b", "SIL", "oʊ"]
LOG = """2026-01-02 03:04:05 INFO model: 1,234 parameters, 1,200 trained; losses hubert
2026-01-02 03:04:05 INFO train: 24 utterances, 0.01 h
2026-01-02 03:04:05 INFO machine: CPU, 1 x one process, 1 threads, 0 loader processes, PyTorch 2.13.0+cpu
2026-01-02 03:04:09 INFO update 50/1000, epoch 0: loss 4.000, grad norm 2.20 (clipped 0 %)
2026-01-02 03:04:20 WARNING update 500: loss (hubert): code_perplexity is 2.1 of 64: few codes are in use
2026-01-02 03:04:40 WARNING update 900: loss (hubert): code_perplexity is 1.8 of 64: few codes are in use
2026-01-02 03:05:05 INFO done: 1000 updates in 1:00
"""
STAGES = """100\tssl1.sh\t5\tnothing -> labels
110\tssl1.sh\t6\tdump -> index
115\tssl1.sh\t7\tconf/train.yaml -> exp/other
200\tssl1.sh\t7\tconf/train.yaml -> exp/{name}
275\tssl1.sh\tend\texit status 0
"""


def unit_row(system: str, layer: int | None, pnmi: float | None, *, spread: float = 0.004, best: bool = False) -> dict:
    """A row of units.json of two seeds."""
    figures: dict[str, Any] = {"bitrate": 300.0, "bitrate_deduplicated": 180.0, "perplexity": 80.0}
    figures |= {"used_clusters": 100.0, "mean_run_frames": 1.8}
    if pnmi is not None:
        figures |= {"phone_purity": pnmi - 0.05, "cluster_purity": 0.3, "pnmi": pnmi}
    figures["spread"] = dict.fromkeys(figures, 1.0) | {"pnmi": spread, "phone_purity": 0.01, "cluster_purity": 0.01}
    title = {"mfcc": "MFCC", "untrained": "untrained", "codes": "own codes"}.get(system, "mine")
    row = {
        "system": system,
        "title": title,
        "layer": layer,
        "K": 100,
        "frame_rate": 50.0,
        "own_rate": 50.0,
        "seeds": [0, 1],
    }
    row |= {"best": best, "train": figures, "valid": figures}
    if best and system in ("model", "codes"):
        shares = np.eye(len(PHONES))[np.arange(12) * len(PHONES) // 12] * 0.7 + 0.3 / len(PHONES)
        row["heatmap"] = {"phones": PHONES, "units": list(range(12)), "p_phone_given_unit": shares.tolist()}
    return row


def units_part(model: float = 0.65, mfcc: float = 0.61, untrained: float = 0.6, *, valid: str = "dump/dev") -> dict:
    """units.json, with the figure of the best layer."""
    described = {"num_frames": 1000, "num_utterances": 9}
    return {
        "num_clusters": 100,
        "frame_rate": 50.0,
        "seeds": [0, 1],
        "train": {"set": "dump/train", **described},
        "valid": {"set": valid, **described},
        "rows": [
            unit_row("mfcc", None, mfcc, best=True),
            unit_row("untrained", 1, untrained - 0.01),
            unit_row("untrained", 2, untrained, best=True),
            unit_row("model", 1, model, best=True),
            unit_row("model", 2, model - 0.05),
            unit_row("codes", 2, model - 0.1, best=True),
        ],
        "notes": ["own codes: K = 64, not 100"],
    }


def abx_part(model: float = 0.08, mfcc: float = 0.15) -> dict:
    """abx.json: one layer of each system."""
    rows = []
    for system, title, layer, value in (("mfcc", "MFCC", None, mfcc), ("model", "mine", 1, model)):
        for mode in ("within", "across"):
            for features, distance in (("continuous", "angular"), ("continuous", "euclidean"), ("units", "equal")):
                rows.append({
                    "system": system, "title": title, "layer": layer, "features": features, "distance": distance,
                    "mode": mode, "error_rate": value, "low": value - 0.01, "high": value + 0.01,
                    "num_triples": 12345, "num_phone_pairs": 99,
                })  # fmt: skip
    return {"rows": rows, "notes": []}


def probes_part() -> dict:
    """probes.json: phones on single layers, and recognition, of one seed."""
    rows = []
    for system, title, layer, value in (
        ("mfcc", "MFCC", None, 0.5), ("logmel", "log-mel", None, 0.52), ("untrained", "untrained", None, 0.55),
        ("model", "mine", None, 0.7), ("model", "mine", 1, 0.68), ("model", "mine", 2, 0.6),
    ):  # fmt: skip
        about = {"system": system, "title": title, "layer": layer, "seeds": [0], "num_train": 900, "num_valid": 300}
        weights = [0.7, 0.3] if system in ("model", "untrained") else [1.0]
        rows.append({"task": "phone", "accuracy": value, "majority": 0.2, "layer_weights": weights, **about})
        if layer is None:
            rows.append({"task": "ctc", "per": 1 - value, "layer_weights": weights, **about})
    return {"rows": rows, "notes": ["speaker probe: left out: one speaker"]}


def examples_part(folder: Path, utt_ids: tuple[str, ...] = ("utt-1", "utt-2", "utt-3")) -> dict:
    """examples.json and its audio: noise of 1.2 to 9 seconds."""
    random = np.random.default_rng(0)
    utterances = []
    for number, utt_id in enumerate(utt_ids, 1):
        seconds = (1.2, 3.0, 9.0)[number % 3]
        audio = folder / "eval" / "examples" / f"{number}.flac"
        audio.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(audio, 0.1 * random.standard_normal(round(16000 * seconds)), 16000)
        ids = np.repeat(random.integers(0, 100, 500), random.integers(1, 6, 500))[: round(50 * seconds)].tolist()
        track = {"frame_rate": 50.0, "first_seconds": 0.0025, "ids": ids}
        utterances.append({
            "utt_id": utt_id, "speaker": f"speaker{number}", "transcript": "one two <three>", "seconds": seconds,
            "audio": f"examples/{number}.flac", "phones": [[0.1, 0.4, "a"], [0.4, 0.42, "oʊ"], [0.42, 1.1, "SIL"]],
            "tracks": [{"title": "units of layer 1, K = 100", **track}, {"title": "own codes, layer 2", **track}],
        })  # fmt: skip
    return {"rows": [], "notes": [], "utterances": utterances}


def history_lines(*, updates: int = 1000) -> list[dict]:
    """A training whose loss falls, with a codebook and two layers."""
    lines = []
    for update in range(50, updates + 1, 50):
        loss = 2 + 3 * math.exp(-update / 300)
        figures = {"update": update, "loss": loss, "masked_accuracy": 1 / loss, "code_perplexity": 20 + update / 50}
        figures |= {"code_perplexity_layer1": 19 + update / 50, "code_perplexity_layer2": 21 + update / 50}
        figures |= {"features_std": 0.99}
        speed = {"learning_rate": 1e-3 * (1 - update / updates), "grad_norm": 3.0, "audio_per_second": 80.0}
        speed |= {"audio_per_update": 8.0, "wait_share": 0.03, "clip_share": 0.0, "skipped": 0, "eta_seconds": 9.0}
        lines.append({"dataset": "train", "epoch": 0, **figures, **speed})
        if update % 200 == 0:
            lines.append({"dataset": "valid", **figures, "loss": loss + 0.2})
    return lines


def lights(level: str = "yellow") -> dict:
    """traffic_light.json."""
    curve = {"better": "higher", "points": [[200, 0.25, 0.02], [1000, 0.45, 0.03]]}
    row = {"update": 1000, "figure": "masked_accuracy", "value": 0.4, "mean": 0.45, "spread": 0.03, "light": level}
    return {
        "subject": {"updates": 1000},
        "reason": "",
        "rows": [{**row, "update": 800, "light": "green"}, row],
        "reference": {"corpus": "mini", "updates": 1000, "runs": [{}, {}], "curves": {"masked_accuracy": curve}},
    }


def write_part(folder: Path, name: str, part: dict) -> None:
    """eval/<name>.json as `run_parts` writes it."""
    path = folder / "eval" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"part": name, "hash": "0", "settings": {}, "seconds": 61.0, **part}), encoding="utf-8")


def write_training(folder: Path, objective: str = "hubert", *, updates: int = 1000) -> Path:
    """What stage 7 leaves, without weights."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = history_lines(updates=updates)
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    (folder / "train.log").write_text(LOG, encoding="utf-8")
    (folder / "train.done").write_text(json.dumps({"updates": updates, "wall_seconds": 75.0}), encoding="utf-8")
    config = dump_config(tiny_config(objective)).replace("tracker: [tensorboard]", "tracker: [none]")
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    (folder.parent / "stages.tsv").write_text(STAGES.format(name=folder.name), encoding="utf-8")
    return folder


def write_evaluated(folder: Path) -> Path:
    """Everything that a report shows."""
    write_training(folder)
    (folder / "traffic_light.json").write_text(json.dumps(lights()), encoding="utf-8")
    parts = {"units": units_part(), "abx": abx_part(), "probes": probes_part(), "examples": examples_part(folder)}
    for name, part in parts.items():
        write_part(folder, name, part)
    return folder
