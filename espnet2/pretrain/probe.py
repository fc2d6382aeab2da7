"""The quick probe of a training: the quality of one layer on a small part of the valid set; nothing is changed.

The cost is fixed before the training starts: forward passes over at most `seconds` of audio and one short k-means of
their frames. Units are learned and judged on the same frames, so the figures show a trend; stage 8 measures quality.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from espnet2.data.choose import choose_fitting
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import JoinedIndex
from espnet2.ssl.model import SSLModel
from espnet2.train.config import ProbeConfig
from espnet2.units.aligned import AlignedSet, RateChange, collect
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import FeatureExtractor, LayerFeatures, MfccFeatures
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.units.quality import Alignment, Alignments, joint_counts, quality_of_counts
from espnet2.utils.errors import UserError

FRAMES_PER_CLUSTER = 20  # fewer do not say where a cluster lies
MAX_PASSES = 20  # of k-means: bounds its time; the last passes move little
PREFIX = "probe_"  # of the figures


def probed_layer(config: ProbeConfig, num_layers: int) -> int:
    """The layer that is looked at.

    Phones are told best between the middle and three quarters of the depth by most methods (Pasad et al. 2021,
    "Layer-wise analysis of a self-supervised speech representation model", figures 2 and 4).

    Raises:
        UserError: there is no such layer.
    """
    if config.layer is not None and config.layer > num_layers:
        raise UserError(f"probe: layer is {config.layer}, but the encoder has {num_layers} layers")
    return config.layer or max(1, round(2 * num_layers / 3))


def open_probe(
    config: ProbeConfig, valid: JoinedIndex, model: SSLModel, trained_seconds: float
) -> tuple["QuickProbe | None", str]:
    """The probe of a training, or None; and one line for the log that describes it, or says why there is none.

    Args:
        trained_seconds: of audio between two validations.

    Raises:
        UserError: a layer the model does not have.
    """
    if not config.enabled:
        return None, "probe: off (probe.enabled is false)"
    probed_layer(config, model.encoder.num_layers)
    try:
        probe = QuickProbe.open(config, valid, model)
    except UserError as error:
        return None, f"probe: none, as the valid set does not suit it: {error}"
    return probe, probe.describe(trained_seconds)


@dataclass(frozen=True)
class QuickProbe:
    """The part of the valid set that is looked at, and what its frames are compared with."""

    config: ProbeConfig
    layer: int  # 1-based
    frames: AlignedSet
    mfcc_units: np.ndarray  # (frames,) ids
    seconds: float  # of audio
    why_no_phones: str  # "" where there are some

    @classmethod
    def open(cls, config: ProbeConfig, valid: JoinedIndex, model: SSLModel) -> "QuickProbe":
        """Choose utterances by a hash of their ids, those with phones where there are any, and cluster their MFCC.

        Raises:
            UserError: a layer the model does not have, not enough audio for so many clusters, or none of it has phones.
        """
        layer = probed_layer(config, model.encoder.num_layers)
        geometry, mfcc = model.frontend.geometry, MfccFeatures(valid.sample_rate)
        alignments, why_none = find_alignments(valid)
        candidates = sorted(alignments) if alignments else range(len(valid))
        rows = choose_fitting(valid, candidates, round(config.seconds * valid.sample_rate))
        num_samples = np.asarray(valid.num_samples)[rows]
        counts = _frame_counts(num_samples, geometry, mfcc.geometry)
        needed = FRAMES_PER_CLUSTER * config.num_clusters
        if counts.sum() < needed:
            raise UserError(
                f"{counts.sum()} frames of valid audio in whole utterances, {config.num_clusters} clusters need "
                f"{needed}: a larger valid set, more probe.seconds or fewer probe.num_clusters"
            )
        phones = [
            alignments[row].frames(count, geometry.frame_rate)
            for row, count in zip(rows.tolist(), counts.tolist(), strict=True)
            if alignments
        ]
        frames = AlignedSet(valid, rows, counts, np.concatenate(phones) if phones else None)
        units = _units(collect(frames, mfcc, geometry.frame_rate)[0], config.num_clusters)
        probe = cls(config, layer, frames, units, float(num_samples.sum() / valid.sample_rate), why_none)
        probe.information(units)  # a set that cannot be compared is refused now, not in the middle of a training
        return probe

    @property
    def has_phones(self) -> bool:
        """Whether there is something better to compare units with than MFCC."""
        return self.frames.phones is not None

    @property
    def names(self) -> tuple[str, ...]:
        """What `figures` gives."""
        return (f"{PREFIX}pnmi" if self.has_phones else f"{PREFIX}mfcc_information", f"{PREFIX}rank")

    def describe(self, trained_seconds: float) -> str:
        """One line for the log: what is measured, on what, at what cost, and what MFCC would reach.

        Args:
            trained_seconds: of audio between two validations; training costs about three forward passes.
        """
        against = f"{PREFIX}pnmi: what its units tell of the phones (MFCC: {self.information(self.mfcc_units):.3f})"
        if not self.has_phones:
            against = f"{PREFIX}mfcc_information: what its units tell of MFCC units, as {self.why_no_phones}"
        return (
            f"probe: layer {self.layer}, {self.seconds:.0f} s of {len(self.frames.rows)} valid utterances, "
            f"{self.config.num_clusters} clusters; {against}; {PREFIX}rank: dimensions in use; costs about "
            f"{100 * self.seconds / (3 * max(trained_seconds, 1e-9)):.1f} % of the training between validations"
        )

    def extractor(self, model: SSLModel) -> Callable[[], Tensor]:
        """What gets (frames, dim) of the layer, on the host. Leaves the model in evaluation mode."""
        device = next(model.parameters()).device
        extractor = LayerFeatures(model, (self.layer,), self.frames.index.sample_rate, device)
        return partial(self._features, extractor)

    def _features(self, extractor: FeatureExtractor) -> Tensor:
        return collect(self.frames, extractor, extractor.geometry.frame_rate)[0]

    def figures(self, features: Tensor) -> dict[str, float]:
        """What the features of the layer are worth.

        Raises:
            UserError: they are not finite, or there are fewer distinct frames than clusters: the training collapsed.
        """
        if not torch.isfinite(features).all():
            raise UserError("some features are nan or inf")
        units = _units(features, self.config.num_clusters)
        return dict(zip(self.names, (self.information(units), effective_rank(features)), strict=True))

    def information(self, units: np.ndarray) -> float:
        """Share of the entropy of phones (or MFCC units) that units tell.

        Args:
            units: (frames,) ids below `num_clusters`.
        """
        phones = self.frames.phones
        other = self.mfcc_units if phones is None else phones
        counts = joint_counts([(units, other)], self.config.num_clusters, int(other.max()) + 1)
        return quality_of_counts(counts).pnmi


def find_alignments(index: JoinedIndex) -> tuple[Mapping[int, Alignment], str]:
    """Row -> alignment, of all sets that have a phones.ctm of their audio; where there is none, why."""
    alignments: dict[int, Alignment] = {}
    ids: dict[str, int] = {}
    reason = "no phones.ctm"
    for start, part in zip(index.starts, index.parts, strict=False):
        try:
            files = find_phones(part.directory.parent)
            phones = read_phones(files, part.directory.parent).alignments if files else Alignments({}, ())
        except UserError as error:  # of another corpus, say: the training does without
            reason = str(error)
            continue
        table = np.array([ids.setdefault(phone, len(ids)) for phone in phones.phones])
        for utt_id, alignment in phones.utterances.items():
            row = part.find(utt_id)
            if row is not None:
                alignments[int(start) + row] = Alignment(alignment.starts, alignment.ends, table[alignment.phones])
    return alignments, "" if alignments else reason


def effective_rank(features: Tensor) -> float:
    """exp(entropy) of the singular values: in how many dimensions the frames differ; 1 when all lie on a line.

    Garrido et al. 2023 (RankMe), equation 1; of centred frames, because one common offset says nothing.

    Args:
        features: (frames, dim).

    >>> round(effective_rank(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])), 3)
    2.0
    """
    centred = (features - features.mean(0)).double()
    values = torch.linalg.eigvalsh(centred.T @ centred).clamp(min=0).sqrt()
    shares = values / values.sum().clamp(min=1e-300)
    return float(torch.special.entr(shares).sum().exp())


def _frame_counts(num_samples: np.ndarray, geometry: FrameGeometry, other: FrameGeometry) -> np.ndarray:
    """(utterances,) frames at the rate of `geometry` that both kinds of features have."""
    change = RateChange.between(other.frame_rate, geometry.frame_rate)
    counts: np.ndarray
    counts = np.minimum(geometry.output_lengths(num_samples), change.count(other.output_lengths(num_samples)))
    return counts


def _units(features: Tensor, num_clusters: int) -> np.ndarray:
    centroids = fit_kmeans(features, num_clusters, num_starts=1, max_passes=MAX_PASSES).centroids
    return assign(features, centroids).numpy()
