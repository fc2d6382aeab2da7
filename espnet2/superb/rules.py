"""The rules of a task as config keys: official by default, and what deviates is said in every result."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import Field

from espnet2.utils.config import Config

# SUPERB, section 3: one value is searched, the learning rate, on a grid of powers of ten.
SEARCH_RATES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)


class Rules(Config):
    """What every task has. A subclass in the file of a task holds the values of s3prl's config of that task."""

    updates: int = Field(200_000, gt=0, description="optimizer steps")
    batch_size: int = Field(32, gt=0, description="utterances of one forward pass")
    accumulate: int = Field(1, gt=0, description="forward passes of one update")
    eval_every: int = Field(5000, gt=0, description="updates between two looks at dev, which chooses the checkpoint")
    optimizer: Literal["adam", "adamw"] = Field("adam", description="of torch.optim")
    learning_rate: float = Field(1e-4, gt=0, description="where none is searched")
    gradient_norm: float = Field(1.0, gt=0, description="largest; larger gradients are scaled down")
    projection: int = Field(256, gt=0, description="width of the linear layer in front of the head")


SIZE_SHARE = 0.99  # of the paper's sets that a set has to have: a file may be damaged, a part must not be missing
NOT_DEVIATIONS = ("learning_rate",)  # the one value that the rules leave free


def deviations(rules: Rules) -> list[str]:
    """The keys that differ from the official values, in words.

    >>> deviations(Rules(updates=100, learning_rate=1e-3))
    ['updates 100 (official 200000)']
    """
    official = type(rules)()
    return [
        f"{key} {getattr(rules, key)} (official {getattr(official, key)})"
        for key in type(rules).model_fields
        if key not in NOT_DEVIATIONS and getattr(rules, key) != getattr(official, key)
    ]


class Sizes(NamedTuple):
    """Utterances of the paper's sets, as s3prl's lists have them; 0: not known, or there is none."""

    train: int = 0
    dev: int = 0
    test: int = 0


def missing_parts(sizes: Sizes, counts: Mapping[str, int]) -> list[str]:
    """The sets that are smaller than those of the paper, in words: an official corpus that is not whole.

    >>> missing_parts(Sizes(train=1000, test=10), {"train": 995, "dev": 3, "test": 9})
    ['test: 9 utterances (official 10)']
    """
    return [
        f"{part}: {counts[part]} utterances (official {size})"
        for part, size in sizes._asdict().items()
        if size and counts[part] < SIZE_SHARE * size
    ]
