"""A shard of utterances and an extractor of less than float32 in; how many of their units float32 gives, too, out."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.units.features import LayerFeatures, map_features
from espnet2.utils.device import FLOAT32

UTTERANCES = 20  # of a shard, evenly spread: some thousands of frames, a share to about half a percent
SECONDS = 120.0  # at most, of all of them: long recordings are not computed twice


class Agreement(NamedTuple):
    """Units that two ways to compute give."""

    alike: int
    frames: int
    utterances: int

    def describe(self, dtype: str) -> str:
        """For the log."""
        share, of = 100 * self.alike / max(self.frames, 1), f"{self.frames:,} frames ({self.utterances} utterances)"
        return f"{dtype}: {share:.2f} % of the units of {of} are those of {FLOAT32}"


def measure_agreement(
    index: AudioIndex, rows: Sequence[int], extractor: LayerFeatures, units: Callable[[int, Tensor], Tensor]
) -> Agreement:
    """Compute the units of some utterances twice.

    Args:
        rows: of the shard.
        extractor: of the type that is asked for.
        units: row and (layers, frames, dim) -> (frames,) ids.
    """
    chosen: list[int] = []
    seconds = 0.0
    for row in rows[:: max(1, len(rows) // UTTERANCES)][:UTTERANCES]:
        seconds += float(index.num_samples[row]) / index.sample_rate
        if chosen and seconds > SECONDS:
            break
        chosen.append(row)
    made, exact = (
        list(map_features(index, chosen, one, lambda row, features: units(row, features).cpu()))
        for one in (extractor, extractor.computing(FLOAT32))
    )
    alike = sum(int((ours == theirs).sum()) for ours, theirs in zip(made, exact, strict=True))
    return Agreement(alike, sum(map(len, exact)), len(chosen))
