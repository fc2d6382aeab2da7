"""The files of a trained model, found once for a whole program and without loading torch."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from espnet2.models.locate import locate_model
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file


@dataclass(frozen=True)
class ModelFiles:
    """A trained model that was found: every function below a program's command line takes this, and finds no more."""

    name: str  # as the user gave it: for messages, tables and cards
    tag: str  # which checkpoint of exp/<name> was asked for: latest, best_<stat>, ave_<n>best, update_<n>
    weights: Path  # model.safetensors
    config_file: Path  # config.yaml

    @cached_property
    def hash(self) -> str:
        """Of the weights: the name of the model in cards of k-means and in identities of runs. Read once."""
        return hash_file(self.weights)


def find_model(name: str | Path, tag: str = "latest", *, revision: str | None = None) -> ModelFiles:
    """Find the files of a trained model; what is packed, foreign or on the Hub becomes a local folder first.

    Args:
        name: exp/<name>, a folder of exp/<name>/checkpoints, or a model.safetensors there; a packed archive; another
            toolkit's folder or file; hf:<user>/<repository>. See `locate_model`.
        tag: which checkpoint of exp/<name>.
        revision: of a Hugging Face repository: branch, tag or commit.

    Raises:
        UserError: there is none, it has no config.yaml, or `locate_model` refuses it.
    """
    weights = find_weights(name, tag, revision=revision)
    return ModelFiles(str(name), tag, weights, _find_config(weights))


def find_weights(name: str | Path, tag: str = "latest", *, revision: str | None = None) -> Path:
    """The model.safetensors of a trained model alone; arguments and errors as for `find_model`."""
    return _find_weights(locate_model(name, revision=revision), tag)


def _find_weights(path: Path, tag: str) -> Path:
    weights = path if path.suffix == ".safetensors" else path / "model.safetensors"
    if not weights.is_file():
        weights = path / "checkpoints" / tag / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"{path}: no trained model there ({weights} is missing); train it first (stage 7)")
    # `latest` and `best_<stat>` are links to checkpoints beside them, which a running training moves: the checkpoint
    # of this moment is the one whose hash is noted and whose weights are read, however long the program runs.
    folder, checkpoint = weights.parent, weights.parent.resolve()
    return folder.parent / checkpoint.name / weights.name if checkpoint.parent == folder.parent.resolve() else weights


def _find_config(weights: Path) -> Path:
    """The config.yaml of the experiment that weights belong to."""
    candidates = [folder / "config.yaml" for folder in weights.absolute().parents[:3]]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"{weights}: no config.yaml in its folder or above; expected exp/<name>/config.yaml")
