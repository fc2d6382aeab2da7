"""Weights & Biases: the site, a server of one's own, or with WANDB_MODE=offline files in exp/<name>/trackers/wandb."""

import os
from collections.abc import Mapping
from pathlib import Path

from espnet2.train.trackers.base import PROJECT, TrackedRun, Writer
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

PACKAGE = "'wandb>=0.31'"
UPDATE = "update"  # the x axis of all figures; W&B's own steps only grow, and do not fit two figures of one update


class WeightsAndBiases(Writer):
    """A run by its id; WANDB_PROJECT, WANDB_ENTITY and all other variables of W&B hold."""

    @classmethod
    def load(cls) -> None:
        with needs("--tracker wandb needs a package: pip install 'espnet2-ssl[wandb]', or pip install wandb"):
            import wandb
        if os.environ.get("WANDB_MODE", "online") not in ("online", "shared"):
            return
        try:
            is_known = wandb.login(prompt=False)  # wandb.init would ask on the terminal, in the middle of a training
        except TypeError:
            raise UserError(f"--tracker wandb: {wandb.__version__} is too old; pip install -U {PACKAGE}") from None
        if not is_known:
            raise UserError(
                "--tracker wandb: nobody is logged in; run `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline"
            )

    def open(self, run: TrackedRun) -> None:
        import wandb

        run.scratch.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=run.name,
            id=run.run_id,
            resume="allow",
            dir=str(run.scratch),
            config=dict(run.settings),
            settings=wandb.Settings(console="off", silent=True),  # train.log has all lines already
        )
        self.run.define_metric(UPDATE, hidden=True)
        self.run.define_metric("*", step_metric=UPDATE)

    def scalars(self, figures: Mapping[str, float], update: int) -> None:
        self.run.log({UPDATE: update, **figures})

    def picture(self, name: str, file: Path, update: int) -> None:
        import wandb

        self.run.log({UPDATE: update, name: wandb.Image(str(file))})

    def sound(self, name: str, file: Path, update: int) -> None:
        import soundfile
        import wandb

        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        self.run.log({UPDATE: update, name: wandb.Audio(samples[:, 0], sample_rate=rate)})

    def close(self) -> None:
        self.run.finish()
