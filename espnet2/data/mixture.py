"""How often groups of utterances are seen in a pass, and how that changes from pass to pass."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from espnet2.utils.errors import UserError


@dataclass(frozen=True)
class Weights:
    """The weights of one pass: a group's share is factor * (its samples)^alpha, among all groups or those of its set.

    Two levels as in MMS (arXiv 2305.13516, section 3.1): languages inside each set, then the sets.
    """

    alpha: float  # of groups; of sets, where there are two levels
    inner_alpha: float = 1.0  # of groups inside their set
    factors: NDArray[np.float64] | None = None  # (groups,) default: 1
    set_factors: NDArray[np.float64] | None = None  # (sets,) default: 1

    @property
    def change_nothing(self) -> bool:
        """Whether every utterance is seen once."""
        return self.alpha == self.inner_alpha == 1.0 and self.factors is None and self.set_factors is None

    def towards(self, other: "Weights", share: float) -> "Weights":
        """Between these and others, by a share of the way in [0, 1]."""
        return Weights(
            _between(self.alpha, other.alpha, share),
            _between(self.inner_alpha, other.inner_alpha, share),
            _factors_between(self.factors, other.factors, share),
            _factors_between(self.set_factors, other.set_factors, share),
        )


@dataclass(frozen=True)
class Sampling:
    """Groups of utterances and how often each is seen."""

    groups: NDArray[np.integer]  # (utterances of the index,) group of each
    weights: tuple[Weights, ...]
    from_epochs: tuple[int, ...] = (0,)  # ascending from 0: since when each of `weights` holds
    change: Literal["steps", "linear"] = "steps"
    set_of_group: NDArray[np.integer] | None = None  # (groups,) set of each; None: one level

    def at(self, epoch: int) -> Weights:
        """The weights of a pass."""
        number = int(np.searchsorted(self.from_epochs, epoch, side="right")) - 1
        weights = self.weights[number]
        if self.change == "steps" or number + 1 == len(self.weights):
            return weights
        begin, end = self.from_epochs[number : number + 2]
        return weights.towards(self.weights[number + 1], (epoch - begin) / (end - begin))

    def draw(
        self, rows: NDArray[np.int32], lengths: NDArray[np.int32], epoch: int, random: np.random.Generator
    ) -> NDArray[np.int32]:
        """The rows of one pass, as long as the data: groups repeated and thinned to their weights.

        Args:
            rows: (kept,) rows of the index that training uses.
            lengths: (utterances of the index,) samples.

        Raises:
            UserError: the weights leave nothing.
        """
        weights = self.at(epoch)
        if weights.change_nothing:
            return rows
        groups = self.groups[rows]
        samples = _sums(groups, lengths[rows], self._num_groups)
        group_samples = self._group_samples(samples, weights)
        parts = []
        for group in np.flatnonzero(samples > 0):
            members = rows[groups == group]
            repeats, rest = divmod(group_samples[group] / samples[group] * len(members), len(members))
            parts += [members] * int(repeats) + [random.permutation(members)[: round(rest)]]
        return np.concatenate(parts)

    @property
    def _num_groups(self) -> int:
        return 0 if self.set_of_group is None else len(self.set_of_group)

    def _group_samples(self, samples: NDArray[np.float64], weights: Weights) -> NDArray[np.float64]:
        """(groups,) samples of each group in a pass."""
        if self.set_of_group is None:
            return _scaled(_weighted(samples, weights.alpha, weights.factors), samples)
        set_samples = _sums(self.set_of_group, samples)
        set_wished = _weighted(set_samples, weights.alpha, weights.set_factors)
        inner = _weighted(samples, weights.inner_alpha, weights.factors)
        inner_sums = _sums(self.set_of_group, inner)
        set_wished[inner_sums == 0] = 0  # all of its languages have the factor 0
        set_wished = _scaled(set_wished, samples)
        per_inner = np.divide(set_wished, inner_sums, out=np.zeros_like(set_wished), where=inner_sums > 0)
        by_group: NDArray[np.float64] = inner * per_inner[self.set_of_group]
        return by_group


def _weighted(samples: NDArray[np.float64], alpha: float, factors: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """factor * samples^alpha; 0 where there are no samples, also for alpha 0."""
    weighted = np.zeros_like(samples)
    present = samples > 0
    weighted[present] = samples[present] ** alpha
    if factors is not None:
        weighted *= factors[: len(weighted)]
    return weighted


def _sums(groups: NDArray[np.integer], values: NDArray[np.generic], num_groups: int = 0) -> NDArray[np.float64]:
    """(groups,) sum of the values of each."""
    sums: NDArray[np.float64] = np.bincount(groups, weights=values, minlength=num_groups).astype(np.float64)
    return sums


def _scaled(weighted: NDArray[np.float64], samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights as samples of a pass that is as long as the data."""
    total = weighted.sum()
    if total == 0:
        raise UserError("sampling: all groups that have audio have the weight 0: nothing is left to train on")
    scaled: NDArray[np.float64] = weighted * (samples.sum() / total)
    return scaled


def _between(begin: float, end: float, share: float) -> float:
    return begin + (end - begin) * share


def _factors_between(
    begin: NDArray[np.float64] | None, end: NDArray[np.float64] | None, share: float
) -> NDArray[np.float64] | None:
    if begin is None and end is None:
        return None
    ones = np.ones_like(end if begin is None else begin)
    begin, end = (ones if factors is None else factors for factors in (begin, end))
    between: NDArray[np.float64] = begin + (end - begin) * share
    return between
