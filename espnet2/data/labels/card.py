"""The form of labels.json, which lies beside packed labels."""

from typing import TypedDict


class OfAllKinds(TypedDict):
    """What every labels.json holds."""

    format_version: int
    num_classes: int  # K: ids are 0..K-1
    label_rate: float  # labels per second
    num_utterances: int
    num_labels: int
    index_hash: str  # of the index whose rows the labels follow
    token_list_hash: str  # of the list that gave the ids
    source: dict[str, str]  # what the labels were made from, for the reader
    source_hash: str
    hash: str  # of the labels, their rate and their token list; of nothing else


class LabelsJson(OfAllKinds, total=False):
    """Contents of labels.json; where a frame has one label, none of these."""

    width: int  # labels of a frame: codebooks, or of soft labels the most probable classes
    weights_hash: str  # of the weights: the labels are soft
