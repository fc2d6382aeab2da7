"""What card.json of a packed model holds, key by key."""

from typing import TypedDict

Figures = dict[str, str | int | float]  # a row of results: part, system, layer, and what was measured


class DataSetJson(TypedDict):
    """A training set."""

    name: str
    utterances: int
    hours: float


class DataJson(TypedDict):
    """What the model was trained on."""

    sets: list[DataSetJson]
    hours: float
    languages: list[str]


# A k-means that is packed along: "name" is that of its folder, "own" whether it is of a layer of this model (else its
# labels were the targets), "of" which features it was learned on. No class: card.json has the key "own" for ever, and
# test_names.py refuses an attribute of that name.
KMeansJson = TypedDict("KMeansJson", {"name": str, "own": bool, "num_clusters": int, "of": str, "hash": str})  # noqa: UP013


class ModelJson(TypedDict):
    """Architecture, conventions, and how long it was trained."""

    objectives: list[str]
    frontend: str
    encoder: str
    num_layers: int
    dim: int
    num_parameters: int  # of frontend and encoder
    sample_rate: int  # Hz
    frame_rate: float  # frames per second
    waveform_normalisation: str
    layer_numbering: str
    residual_convention: str
    checkpoint: str
    weights_hash: str
    updates: int | None  # None: nobody knows
    initialised_from: list[str]


class CodeState(TypedDict):
    """`espnet2.utils.provenance.Code`."""

    version: str
    commit: str | None
    changes: str | None


class CodeOfModel(TypedDict):
    """Which code a card speaks of."""

    trained_by: list[CodeState]  # from the first start to the last
    trained_with: dict[str, str]  # library -> version, of the last start
    packed_by: CodeState


class DescriptionJson(ModelJson):
    """All but the list of files, one of which is the README that is made of this."""

    format_version: int
    name: str
    dtype: str
    licence: str
    code: CodeOfModel
    data: DataJson
    results: list[Figures]
    kmeans: list[KMeansJson]
    formats: dict[str, str | None]  # form of another library -> None, or why there is none


class CardJson(DescriptionJson):
    """All of it."""

    files: dict[str, str]  # name -> hash
