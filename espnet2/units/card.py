"""The k-means folder: its centroids and its card, written and read; one that was made otherwise is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from espnet2.units.source import JOINED, FeatureSource
from espnet2.units.transform import TRANSFORM_FIELDS, TransformOptions
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_bytes, require_json, write_json

if TYPE_CHECKING:  # reading a card does without the two seconds that torch takes to load
    from torch import Tensor

    from espnet2.units.frame_transform import Projection

FORMAT_VERSION = 1
CARD, CENTROIDS, TOKENS = "card.json", "centroids.safetensors", "tokens.txt"
MEAN, MATRIX = "projection.mean", "projection.matrix"  # in centroids.safetensors, of PCA or whitening
REMEDY = "restore the folder from a copy, or remove it and run stage 5"


@dataclass(frozen=True)
class KMeansCard:
    """What a k-means folder says about itself, in card.json."""

    feature: str  # mfcc, or espnet_hubert
    layer: int | str  # 1-based; "1+2+3": joined; 0 for mfcc
    model: str  # the teacher, as it was given
    teacher_hash: str  # of its weights
    convention: str  # which output of the layer
    num_clusters: int
    dim: int  # of the centroids
    label_rate: float  # units per second
    sample_rate: int  # Hz
    seed: int
    portion: float  # share of the training utterances in the sample
    max_frames: int
    index_hash: str  # of the training sets
    train_sets: tuple[str, ...]
    num_frames: int  # in the sample
    inertia: float  # mean squared distance of these to their centroids
    num_passes: int
    hash: str = ""  # of centroids, features, teacher and what was done to the features: what labels depend on
    format_version: int = field(default=FORMAT_VERSION)
    # What was done to the features, as in TransformOptions. card.json has only what is not the default.
    normalize: str = "none"
    smooth_frames: int = 1
    pca_dim: int = 0
    whiten_dim: int = 0

    @property
    def source(self) -> FeatureSource:
        return FeatureSource(self.feature, self.layer, self.model, self.teacher_hash)

    @property
    def transform(self) -> TransformOptions:
        """What was done to the features."""
        return TransformOptions(**{name: getattr(self, name) for name in TRANSFORM_FIELDS})

    def describe(self) -> str:
        """For messages."""
        done = self.transform.describe()
        source = f"{self.source.describe()} ({done})" if done else self.source.describe()
        return f"{self.num_clusters} clusters of {source}, {self.label_rate:g} units per second"


class LoadedKMeans(NamedTuple):
    """What lies in a k-means folder."""

    centroids: Tensor  # (clusters, dim) float32
    card: KMeansCard
    projection: Projection | None = None  # of PCA or whitening


def save_kmeans(
    directory: str | Path, centroids: Tensor, card: KMeansCard, projection: Projection | None = None
) -> KMeansCard:
    """Write centroids (and projection), the identity token list and, last, the card, to which it adds the hash.

    Args:
        centroids: (clusters, dim) float32 on the host.
        projection: where the card says pca_dim or whiten_dim.
    """
    from safetensors.torch import save

    directory = Path(directory)
    values = centroids.contiguous()
    card = replace(card, hash=_hash(LoadedKMeans(values, card, projection)))
    fitted = {} if projection is None else {MEAN: projection.mean, MATRIX: projection.matrix}
    (directory / CARD).unlink(missing_ok=True)
    with atomic_write(directory / CENTROIDS, "wb") as stream:
        stream.write(save({"centroids": values, **fitted}))
    with atomic_write(directory / TOKENS) as stream:
        stream.writelines(f"{number}\n" for number in range(card.num_clusters))
    unchanged = set(TRANSFORM_FIELDS) - set(card.transform.changed)
    write_json(directory / CARD, {name: value for name, value in asdict(card).items() if name not in unchanged})
    return card


def _hash(kmeans: LoadedKMeans) -> str:
    """A k-means of features as they are has the hash that it always had."""
    identity = {**kmeans.card.source.identity, **kmeans.card.transform.changed}
    fitted = [] if kmeans.projection is None else [tensor.numpy().tobytes() for tensor in kmeans.projection]
    words = [f"{key}={value}" for key, value in identity.items()]
    return hash_bytes(kmeans.centroids.contiguous().numpy().tobytes(), *words, *fitted)


def read_card(directory: str | Path) -> KMeansCard | None:
    """The card of a finished k-means folder; None if there is none (yet).

    Raises:
        UserError: the card is damaged, or of another format version.
    """
    path = Path(directory) / CARD
    if not path.exists():
        return None
    values = require_json(path, REMEDY)
    if values.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{directory}/{CARD}: format version {values.get('format_version')}, expected "
            f"{FORMAT_VERSION}; remove the folder and learn the clusters again"
        )
    kinds = {"str": str, "int": int, "int | str": int | str, "float": int | float, "tuple[str, ...]": list}
    type_of = {key.name: str(key.type) for key in fields(KMeansCard)}
    values = {**asdict(TransformOptions()), **values}
    for name, annotation in type_of.items():
        value = values.get(name)
        is_layer = name != "layer" or isinstance(value, int) or JOINED.fullmatch(str(value))
        if not isinstance(value, kinds[annotation]) or not is_layer:
            raise UserError(f"{path}: has {value!r} as {name}; {REMEDY}")
    unknown = set(values) - set(type_of)
    if unknown:
        raise UserError(f"{path}: unknown {', '.join(sorted(unknown))}; {REMEDY}")
    card = KMeansCard(**{**values, "train_sets": tuple(values["train_sets"])})
    try:
        card.transform  # noqa: B018 - checks its values
    except UserError as error:
        raise UserError(f"{path}: {error}; {REMEDY}") from None
    return card


def require_card(directory: str | Path) -> KMeansCard:
    """The card of a finished k-means folder.

    Raises:
        UserError: there is no finished k-means.
    """
    card = read_card(directory)
    if card is None:
        raise UserError(f"{directory}: no finished k-means ({CARD} is missing); run stage 5")
    return card


def load_kmeans(directory: str | Path) -> LoadedKMeans:
    """Centroids, card, and what was fitted to the features before.

    Raises:
        UserError: there is no finished k-means, or its files do not belong together.
    """
    import torch
    from safetensors.torch import load_file

    directory = Path(directory)
    card = require_card(directory)
    try:
        tensors = load_file(directory / CENTROIDS)
        centroids = tensors["centroids"]
    except Exception as error:  # safetensors has its own exception types, and the file may be cut short
        raise UserError(f"{directory / CENTROIDS}: cannot be read ({error}); remove the folder, run stage 5") from None
    if centroids.shape != (card.num_clusters, card.dim) or centroids.dtype != torch.float32:
        raise UserError(
            f"{directory}: centroids of shape {tuple(centroids.shape)}, but the card says "
            f"{card.num_clusters} x {card.dim}; remove the folder and run stage 5"
        )
    if not centroids.isfinite().all():
        raise UserError(f"{directory / CENTROIDS}: some centroids are nan or inf; {REMEDY}")
    kmeans = LoadedKMeans(centroids, card, _projection(directory, card, tensors))
    if _hash(kmeans) != card.hash:
        raise UserError(
            f"{directory}: {CENTROIDS} are not the centroids that {CARD} names (their hash is "
            f"{_hash(kmeans)}, not {card.hash}); {REMEDY}"
        )
    return kmeans


def _projection(directory: Path, card: KMeansCard, tensors: Mapping[str, Tensor]) -> Projection | None:
    """What PCA or whitening fitted, found to be what the card says."""
    kept = card.transform.projected_dim
    mean, matrix = tensors.get(MEAN), tensors.get(MATRIX)
    if not kept and mean is None and matrix is None:
        return None
    if not kept or mean is None or matrix is None or matrix.shape != (kept, len(mean)) or kept != card.dim:
        there = "none" if mean is None or matrix is None else f"one of {' x '.join(map(str, matrix.shape))}"
        raise UserError(
            f"{directory}: {CARD} says {card.transform.describe() or 'no PCA'} and centroids of {card.dim} values, but "
            f"{CENTROIDS} has {there} as projection; {REMEDY}"
        )
    from espnet2.units.frame_transform import Projection

    return Projection(mean, matrix)


def check_card(directory: str | Path, card: KMeansCard, expected: Mapping[str, object]) -> None:
    """Refuse a k-means that was made otherwise than expected.

    Args:
        expected: fields of the card and the values they must have.

    Raises:
        UserError: naming every field that differs.
    """
    present = asdict(card)
    different = [f"{key} {present[key]!r}, not {value!r}" for key, value in expected.items() if present[key] != value]
    if different:
        raise UserError(
            f"{directory}: this k-means was made with {'; '.join(different)}. Give back the options it was "
            "made with, choose another folder, or remove this one (and the models trained on it)"
        )


def check_teacher(directory: str | Path, card: KMeansCard, current: FeatureSource) -> None:
    """Refuse labels from another teacher than the one whose layer was clustered.

    Raises:
        UserError: the weights changed since.
    """
    if current.teacher_hash != card.teacher_hash:
        raise UserError(
            f"{directory}: was learned on {card.model} with weights {card.teacher_hash}, but "
            f"{current.model} now has {current.teacher_hash}; labels of both do not mix: "
            "remove the k-means folder and run stage 5 again"
        )
