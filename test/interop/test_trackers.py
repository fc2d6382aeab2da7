"""Two parts of a run in, what the real tools have of it without a network out, in environments that hold only them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fresh_environment import run
from matplotlib.image import imsave
from repository import ROOT

from setup import EXTRAS

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1200)]
# Killed at update 30, its newest checkpoint at 20: 30 is computed again, and must not be there twice.
TRACK = """
import os, pathlib, sys
from espnet2.train.tracking import Figures, MediaFile, Tracker, load_writers, read_record
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
run = folder / "hubert"
told = []
ids = []
for start, updates in ((0, (10, 20, 30)), (20, (30, 40))):
    (writer,) = load_writers([name]).values()
    tracker = Tracker(name, writer, run, told.append)
    tracker.start({"optim_conf.lr": 0.1, "compile": False, "reference": "auto", "seed": None}, start)
    for update in updates:
        tracker.put(Figures("train", update, {"loss": 100.0 / update, "grad_norm": 1.0}))
        tracker.put(Figures("valid", update, {"loss": 50.0 / update}))
    tracker.put(MediaFile("examples/picture", updates[-1], folder / "red.png"))
    tracker.put(MediaFile("examples/sound", updates[-1], folder / "tone.flac"))
    tracker.close()
    assert not tracker.thread.is_alive(), "still at work after it was closed"
    ids.append(read_record(run, name)["run_id"])
assert told == [] and ids[0] == ids[1], (told, ids)
updates = (10, 20, 30, 40)
expected = {"train/loss": [(u, 100.0 / u) for u in updates], "valid/loss": [(u, 50.0 / u) for u in updates]}
"""
READ_WANDB = """
import wandb
wandb.teardown()  # its service writes the last of the files
import json
from wandb.proto import wandb_internal_pb2
def contents(path):  # LevelDB's log: blocks of 32 KiB, entries of checksum (4 bytes), length (2) and kind (1)
    data, at, entry = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        entry += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield entry
            entry = b""
figures, media, records = {}, set(), sorted((run / "trackers/wandb").glob("offline-run-*/*.wandb"))
assert len(records) == 2 and {path.stem.split("-")[-1] for path in records} == {ids[0]}, records
for path in records:
    for data in contents(path):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
            for key, value in row.items():
                if key.endswith("/_type"):
                    media.add((key.removesuffix("/_type"), value))
                elif key in expected:
                    figures.setdefault(key, []).append((row["update"], value))
assert figures == expected, figures
assert media == {("examples/picture", "image-file"), ("examples/sound", "audio-file")}, media
"""
READ_MLFLOW = """
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=f"sqlite:///{run.resolve()}/trackers/mlflow.db")
(experiment,) = [e for e in client.search_experiments() if e.name == "espnet2-ssl"]
(found,) = client.search_runs([experiment.experiment_id])
for key, points in expected.items():
    assert [(m.step, m.value) for m in client.get_metric_history(found.info.run_id, key)] == points, key
assert found.data.params["optim_conf.lr"] == "0.1" and found.info.run_name == "hubert"
assert found.info.status == "FINISHED"
for folder, file in (("examples/picture/update_30", "red.png"), ("examples/sound/update_30", "tone.flac")):
    assert [entry.path for entry in client.list_artifacts(found.info.run_id, folder)] == [f"{folder}/{file}"]
"""
READ_TRACKIO = """
import json, sqlite3
database = sqlite3.connect(pathlib.Path(os.environ["TRACKIO_DIR"]) / "espnet2-ssl.db")
figures, media, names = {}, set(), set()
for name_of_run, step, values in database.execute("select run_name, step, metrics from metrics order by id"):
    names.add(name_of_run)
    for key, value in json.loads(values).items():
        if isinstance(value, dict):
            media.add((key, value["_type"]))
        else:
            figures.setdefault(key, []).append((step, value))
assert names == {f"hubert-{ids[0]}"}, names
assert {key: figures[key] for key in expected} == expected, figures
assert media == {("examples/picture", "trackio.image"), ("examples/sound", "trackio.audio")}, media
"""
READ = {"wandb": READ_WANDB, "mlflow": READ_MLFLOW, "trackio": READ_TRACKIO}


@pytest.mark.parametrize("name", READ)
def test_a_resumed_run_is_one_run_without_repeated_steps(tmp_path: Path, name: str) -> None:
    python = tmp_path / "env/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    packages = [*EXTRAS[name], "soundfile", "numpy", "pillow"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    imsave(tmp_path / "red.png", np.broadcast_to(np.array([255, 0, 0], dtype=np.uint8), (8, 8, 3)))
    soundfile.write(tmp_path / "tone.flac", 0.1 * np.sin(np.arange(8000) / 10), 16_000)
    environment = {
        "PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT),
        "WANDB_MODE": "offline", "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    run(python, TRACK + READ[name], Path(name), tmp_path, env=environment, cwd=tmp_path)
