"""The rule that says which k-means folders belong to a trained model: those learned on a layer of exactly this one."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from espnet2.models.find import ModelFiles
from espnet2.units.card import KMeansCard, read_card, require_card
from espnet2.units.source import MFCC
from espnet2.utils.errors import UserError

FOLDER = "kmeans"  # beside config.yaml or the weights: <name>/{card.json, centroids.safetensors, tokens.txt}
TRAINED = "trained"  # metadata of packed weights: the hash of those they were made from


def model_hashes(model: ModelFiles) -> tuple[str, ...]:
    """The names of a model's weights in k-means cards: of its file, and for a packed one of the file it came from."""
    try:
        with safe_open(model.weights, "numpy") as opened:
            origin = (opened.metadata() or {}).get(TRAINED)
    except SafetensorError:  # cut short: loading it says so
        origin = None
    return tuple(filter(None, (model.hash, origin)))


def carried_kmeans(model: ModelFiles) -> dict[str, Path]:
    """Name -> folder of the k-means that lie with a model and are of its own layers.

    Those of its training targets (MFCC, or another model's layer) may lie there too: they need that other model.
    """
    around = (model.weights.parent, *model.weights.absolute().parents[1:3])
    folders = dict.fromkeys(folder / FOLDER for folder in around)
    cards = [(path, read_card(path)) for folder in folders for path in sorted(folder.glob("*/"))]
    hashes = model_hashes(model) if cards else ()  # of large weights it takes a while
    return {path.name: path for path, card in cards if card is not None and is_of(card, hashes)}


def is_of(card: KMeansCard, hashes: tuple[str, ...]) -> bool:
    """Whether the clusters are of a layer of the model with these hashes."""
    return card.feature != MFCC and card.teacher_hash in hashes


def require_own_kmeans(kmeans: str | Path, model: ModelFiles) -> KMeansCard:
    """The card of a k-means folder, found to belong to this model.

    Raises:
        UserError: there is no finished k-means, or it is of other features or other weights.
    """
    card, hashes = require_card(kmeans), model_hashes(model)
    if not is_of(card, hashes):
        raise UserError(
            f"{kmeans}: was learned on {card.source.describe()} with weights {card.teacher_hash or 'none'}, "
            f"but {model.name} has {' from '.join(hashes)}; units of other features mean nothing here: "
            "take the k-means of this model, or learn one (ssl_learn_kmeans --feature espnet_hubert)"
        )
    return card
