"""The name of a trained model in, the model out: what programs do in two steps."""

from pathlib import Path

from espnet2.models.find import find_model
from espnet2.models.load import LoadedModel, load_model


def write_empty(folder: Path, *tags: str) -> Path:
    """What `find_model` looks for, and nothing in it."""
    for tag in tags or ("latest",):
        checkpoint = folder / "checkpoints" / tag
        checkpoint.mkdir(parents=True)
        (checkpoint / "model.safetensors").touch()
    (folder / "config.yaml").touch()
    return folder


def load_path(name: str | Path, tag: str = "latest") -> LoadedModel:
    """Find and load."""
    return load_model(find_model(name, tag))
