"""trackio of Hugging Face: a local database (TRACKIO_DIR), or a Space of the hub (TRACKIO_SPACE_ID)."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from espnet2.train.trackers.base import PROJECT, TrackedRun, Writer
from espnet2.utils.extras import needs


class Trackio(Writer):
    """A run by its name, which has our id at its end: names are what trackio goes on from."""

    @classmethod
    def load(cls) -> None:
        with needs("--tracker trackio needs a package: pip install 'espnet2-ssl[trackio]', or pip install trackio"):
            import_module("trackio")

    def open(self, run: TrackedRun) -> None:
        import trackio

        self.run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT") or PROJECT,
            name=f"{run.name}-{run.run_id}",
            space_id=os.environ.get("TRACKIO_SPACE_ID"),
            config=dict(run.settings),
            resume="allow",
            embed=False,
        )

    def scalars(self, figures: Mapping[str, float], update: int) -> None:
        self.run.log(dict(figures), step=update)

    def picture(self, name: str, file: Path, update: int) -> None:
        import trackio

        self.run.log({name: trackio.Image(str(file))}, step=update)

    def sound(self, name: str, file: Path, update: int) -> None:
        import soundfile
        import trackio

        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        self.run.log({name: trackio.Audio(samples[:, 0], sample_rate=rate, format="wav")}, step=update)

    def close(self) -> None:
        self.run.finish()
