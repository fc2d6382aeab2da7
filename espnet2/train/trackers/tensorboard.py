"""exp/<name>/tensorboard: event files for `tensorboard --logdir exp`."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from espnet2.train.trackers.base import TrackedRun, Writer


class TensorBoard(Writer):
    """Event files have no ids: the folder is the run, and points beyond the checkpoint are purged."""

    purges = True

    @classmethod
    def load(cls) -> None:
        import_module("torch.utils.tensorboard")  # here, and not when the thread is at work beside the training

    def open(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.events = SummaryWriter(str(run.directory / "tensorboard"), purge_step=run.update + 1)

    def scalars(self, figures: Mapping[str, float], update: int) -> None:
        for name, value in figures.items():
            self.events.add_scalar(name, value, update)

    def picture(self, name: str, file: Path, update: int) -> None:
        from matplotlib.image import imread  # slow to import

        self.events.add_image(name, imread(file)[..., :3], update, dataformats="HWC")

    def sound(self, name: str, file: Path, update: int) -> None:
        import soundfile
        import torch

        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        self.events.add_audio(name, torch.from_numpy(samples[:, :1]).T, update, sample_rate=rate)

    def close(self) -> None:
        self.events.close()
