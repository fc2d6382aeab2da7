"""An experiment or checkpoint folder in, its weights file out; without loading torch."""

from pathlib import Path

from espnet2.models.locate import locate_model
from espnet2.utils.errors import UserError


def find_weights(path: str | Path, *, tag: str = "latest") -> Path:
    """The model.safetensors that `load_model` reads; its `hash_file` is the name of the model.

    Args:
        path: exp/<name>, a folder of exp/<name>/checkpoints, or a model.safetensors there; a packed archive; another
            toolkit's folder or file; hf:<user>/<repository>. See `locate_model`.
        tag: which checkpoint of exp/<name>: latest, best_<stat>, ave_<n>best, update_<n>.

    Raises:
        UserError: there is none, or `locate_model` refuses it.
    """
    path = locate_model(path)
    weights = path if path.suffix == ".safetensors" else path / "model.safetensors"
    if not weights.is_file():
        weights = path / "checkpoints" / tag / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{path}: no trained model there ({weights} is missing); train it first (stage 7)")
    return weights


def find_config(weights: Path) -> Path:
    """The config.yaml of the experiment that weights belong to.

    Raises:
        UserError: there is none.
    """
    files = (folder / "config.yaml" for folder in weights.absolute().parents[:3])
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise UserError(f"{weights}: no config.yaml in its folder or above; expected exp/<name>/config.yaml")
    return found
