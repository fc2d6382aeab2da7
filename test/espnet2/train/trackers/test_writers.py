"""Names of trackers in; their packages asked for or found missing, and what TensorBoard reads back, out."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from matplotlib.image import imsave

from espnet2.train.tracking import Figures, MediaFile, Tracker, load_writers
from espnet2.utils.errors import UserError


@pytest.mark.parametrize("name", ["wandb", "mlflow", "trackio"])
def test_a_missing_package_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"--tracker {name} needs .*pip install 'espnet2-ssl\[{name}\]'"):
        load_writers([name])


def test_nobody_is_asked_for_a_key_in_the_middle_of_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(login=lambda *, prompt: asked.append(prompt)))
    with pytest.raises(UserError, match="nobody is logged in; run `wandb login`"):
        load_writers(["wandb"])
    assert asked == [False]
    monkeypatch.setenv("WANDB_MODE", "offline")
    load_writers(["wandb"])
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(login=lambda: True, __version__="0.19"))
    with pytest.raises(UserError, match="is too old"):
        load_writers(["wandb"])


def test_tensorboard_reads_figures_pictures_and_sounds_back(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    imsave(tmp_path / "red.png", np.broadcast_to(np.array([255, 0, 0], dtype=np.uint8), (4, 6, 3)))
    soundfile.write(tmp_path / "tone.flac", np.zeros(800), 16_000)
    for start, update in ((0, 5), (3, 4)):  # the run was killed at 5, and goes on from 3
        tracker = Tracker("tensorboard", load_writers(["tensorboard"])["tensorboard"], tmp_path, pytest.fail)
        tracker.start({"optim_conf.lr": 0.1}, start)
        tracker.put(Figures("train", update, {"loss": 0.5}))
        tracker.put(MediaFile("examples/red", update, tmp_path / "red.png"))
        tracker.put(MediaFile("examples/tone", update, tmp_path / "tone.flac"))
        tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0, "audio": 0}).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(4, 0.5)]
    assert [(event.step, event.width, event.height) for event in events.Images("examples/red")] == [(4, 6, 4)]
    assert [(event.step, event.sample_rate, event.length_frames) for event in events.Audio("examples/tone")] == [
        (4, 16_000.0, 800)
    ]
