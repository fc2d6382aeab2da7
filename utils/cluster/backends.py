"""The name of a back end, as in cmd_backend -> its class; only the module of that one is imported."""

import importlib

MODULES = {"slurm": "slurm", "sge": "grid_engine", "pbs": "pbs", "lsf": "lsf", "ssh": "ssh"}
CLASSES = {"slurm": "Slurm", "sge": "GridEngine", "pbs": "Pbs", "lsf": "Lsf", "ssh": "Ssh"}


def by_name(name):
    """An object of the back end."""
    return getattr(importlib.import_module(f"cluster.{MODULES[name]}"), CLASSES[name])()
