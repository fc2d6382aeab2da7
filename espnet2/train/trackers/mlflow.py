"""MLflow: the server of MLFLOW_TRACKING_URI, or without one exp/<name>/trackers/mlflow.db."""

import os
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from espnet2.train.trackers.base import PROJECT, TrackedRun, Writer
from espnet2.utils.extras import needs

RUN_NAME = "mlflow.runName"
MAX_PARAMETERS = 100  # of one request
MAX_CHARACTERS = 500  # of a value: what every version of the server takes


class MLflow(Writer):
    """A run of the experiment of MLFLOW_EXPERIMENT_NAME; MLflow chooses ids, so ours is a tag of the run."""

    @classmethod
    def load(cls) -> None:
        with needs("--tracker mlflow needs packages: pip install 'espnet2-ssl[mlflow]', or pip install mlflow"):
            # mlflow-skinny, enough for a server, comes without what a local store needs.
            local = [] if os.environ.get("MLFLOW_TRACKING_URI") else ["alembic", "sqlalchemy"]
            for package in ("mlflow", *local):
                import_module(package)

    def open(self, run: TrackedRun) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        run.scratch.mkdir(parents=True, exist_ok=True)
        local = run.scratch.resolve()
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        self.client = MlflowClient(tracking_uri=uri or f"sqlite:///{local}/mlflow.db")
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        experiment = self.client.get_experiment_by_name(title)
        artifacts = None if uri else f"{local.as_uri()}/mlflow"
        experiment_id = experiment.experiment_id if experiment else self.client.create_experiment(title, artifacts)
        known = self.client.search_runs([experiment_id], f"tags.espnet2_run = '{run.run_id}'", max_results=1)
        if known:
            self.run_id = known[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            return
        created = self.client.create_run(experiment_id, tags={RUN_NAME: run.name, "espnet2_run": run.run_id})
        self.run_id = created.info.run_id
        parameters = [Param(name, str(value)[:MAX_CHARACTERS]) for name, value in run.settings.items()]
        for first in range(0, len(parameters), MAX_PARAMETERS):
            self.client.log_batch(self.run_id, params=parameters[first : first + MAX_PARAMETERS])

    def scalars(self, figures: Mapping[str, float], update: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())  # milliseconds
        self.client.log_batch(self.run_id, [Metric(name, value, now, update) for name, value in figures.items()])

    def picture(self, name: str, file: Path, update: int) -> None:
        self.client.log_artifact(self.run_id, str(file), f"{name}/update_{update}")

    def sound(self, name: str, file: Path, update: int) -> None:
        self.client.log_artifact(self.run_id, str(file), f"{name}/update_{update}")

    def close(self) -> None:
        self.client.update_run(self.run_id, status="FINISHED")
