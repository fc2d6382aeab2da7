"""A device in; how training takes a value that is not a number, and a SIGKILL, out."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import soundfile
import torch
import yaml
from gpu_training import NUM_CLASSES, SAMPLE_RATE, Ours, Size, make_config

from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.labels.packed import pack_labels
from espnet2.utils.files import write_json
from espnet2.utils.kaldi_table import write_table

NUM_UTTERANCES = {"train": 64, "valid": 8}
SHOWN_LINES = 40  # of a training that failed


def nonfinite_step(size: Size, device: torch.device) -> dict[str, bool]:
    """One NaN in the audio of one update: whether it was noticed, left no trace, and training went on."""
    ours = Ours(size, device)
    ours(0)
    before = {name: value.clone() for name, value in ours.model.state_dict().items()}
    poisoned = ours.prepare(1)
    poisoned.batch.wavs[0, 1000] = float("nan")
    launched = ours.updater.launch([poisoned], 2)
    noticed = launched.is_nonfinite.item() == 1
    ours.updater.finish(2, is_finite=not noticed)
    after = ours.model.state_dict()
    return {
        "noticed": noticed,
        "weights_unchanged": all(torch.equal(value, after[name]) for name, value in before.items()),
        "next_update_finite": ours(2),
    }


def make_set(root: Path, name: str, size: Size) -> None:
    """dump/<name> and labels/<name>: noise with random labels."""
    random = np.random.default_rng(len(name))
    folder = root / "dump" / name
    (folder / "audio").mkdir(parents=True)
    rows = []
    for number in range(NUM_UTTERANCES[name]):
        path = folder / "audio" / f"{number:03d}.wav"
        wav = 0.1 * random.standard_normal(size.num_samples)
        soundfile.write(path, wav, SAMPLE_RATE)
        rows.append((f"{name}-{number:03d}", str(path), wav))
    write_table(folder / "wav.scp", ((utt, path) for utt, path, _ in rows))
    write_table(folder / "utt2num_samples", ((utt, str(len(wav))) for utt, _, wav in rows))
    write_table(folder / "utt2stats", ((utt, f"{wav.mean():.9g} {wav.var():.9g}") for utt, _, wav in rows))
    write_table(folder / "utt2spk", ((utt, utt) for utt, _, _ in rows))
    write_json(folder / "format.json", {"sample_rate": SAMPLE_RATE, "audio_format": "wav"})
    build_index(folder)
    num_labels = (size.num_samples - 400) // 320 + 1
    labels = (random.integers(0, NUM_CLASSES, num_labels) for _ in rows)
    index_hash = AudioIndex.open(folder).hash
    target = root / "labels" / name
    pack_labels(labels, target, num_classes=NUM_CLASSES, label_rate=50, index_hash=index_hash)


def kill_and_resume(size: Size, device: torch.device, root: Path) -> dict[str, object]:
    """Train whole; train again with a SIGKILL in the middle and go on; compare the ends."""
    for name in NUM_UTTERANCES:
        make_set(root, name, size)
    steps = {"max_update": size.run_updates, "save_interval_updates": max(1, size.run_updates // 6)}
    interval = {"log_interval_updates": max(1, size.run_updates // 6), "valid_interval_updates": size.run_updates}
    bins = {"batch_bins": size.batch_size * size.num_samples, "num_workers": 2}
    config = make_config(size, **steps, **interval, **bins)
    (root / "conf.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    words = [sys.executable, "-m", "espnet2.bin.ssl_train", "--config", str(root / "conf.yaml")]
    for name in NUM_UTTERANCES:
        words += [f"--{name}_sets", str(root / "dump" / name), f"--{name}_labels", str(root / "labels" / name)]
    words += ["--ngpu", "1" if device.type == "cuda" else "0"]
    whole = _train(words, root / "whole")
    killed_at = _kill_after_first_checkpoint(words, root / "killed")
    resumed = _train(words, root / "killed")
    return {
        "updates": size.run_updates,
        "killed_after_update": killed_at,
        "loss_unbroken": whole["valid"]["loss"],
        "loss_resumed": resumed["valid"]["loss"],
        "weights_identical": _weights(root / "whole") == _weights(root / "killed"),
        "trained_audio_per_second": _last_speed(root / "whole"),
    }


def _train(words: list[str], output: Path) -> dict:
    """Train to the end, or raise with its last words."""
    log = output.with_suffix(".log")
    with log.open("w") as stream:
        result = subprocess.run([*words, "--output_dir", str(output)], **_where(output, stream), check=False)
    if result.returncode != 0:
        raise RuntimeError(_failure(result.returncode, log))
    return json.loads((output / "train.done").read_text())


def _kill_after_first_checkpoint(words: list[str], output: Path) -> int:
    """SIGKILL the training as soon as a checkpoint is there; the update of the newest one."""
    log = output.with_suffix(".killed.log")
    with log.open("w") as stream:
        process = subprocess.Popen([*words, "--output_dir", str(output)], **_where(output, stream))
        try:
            while not (output / "checkpoints/latest").exists() and process.poll() is None:
                time.sleep(0.005)
        finally:  # also where the time of the benchmark is over
            process.send_signal(signal.SIGKILL)
            process.wait()
    checkpoints = [int(path.name.removeprefix("update_")) for path in (output / "checkpoints").glob("update_*")]
    if not checkpoints:
        raise RuntimeError(_failure(process.returncode, log))
    return max(checkpoints)


def _where(output: Path, stream: IO[str]) -> dict[str, Any]:
    """Options of a child: its words into a file, and a traceback that it keeps into the temporary folder."""
    return {"stdout": stream, "stderr": stream, "cwd": output.parent}


def _failure(status: int, log: Path) -> str:
    """What to say about a training that failed: its last words."""
    last = "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
    return f"ssl_train ended with status {status}; its last words were:\n{last}"


def _weights(output: Path) -> bytes:
    return (output / "checkpoints/latest/model.safetensors").read_bytes()


def _last_speed(output: Path) -> float:
    """Seconds of audio per second of the last interval, loading included."""
    rows = [json.loads(line) for line in (output / "history.jsonl").read_text().splitlines()]
    return [row["audio_per_second"] for row in rows if row["dataset"] == "train"][-1]
