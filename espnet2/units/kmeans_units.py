"""A loaded k-means as a function: features of an utterance to unit ids. Whoever uses a k-means calls this."""

from collections.abc import Iterator

import torch
from torch import Tensor

from espnet2.units.card import LoadedKMeans
from espnet2.units.frame_transform import FrameStatistics, FrameTransform, OpenParts
from espnet2.units.kmeans import assign
from espnet2.utils.errors import UserError


class KMeansUnits:
    """What was done to the features before k-means, then the numbers of their nearest centroids.

    Args:
        device: where it computes.
    """

    def __init__(self, kmeans: LoadedKMeans, device: torch.device | str = "cpu") -> None:
        self.card = kmeans.card
        self.centroids = kmeans.centroids.to(device)
        self.transform = FrameTransform(kmeans.card.transform, kmeans.projection).to(device)
        self.width = kmeans.centroids.size(1) if kmeans.projection is None else len(kmeans.projection.mean)

    def __call__(self, features: Tensor, speaker: FrameStatistics | None = None) -> Tensor:
        """(layers, frames, dim) of a whole utterance -> (frames,) int64.

        Args:
            speaker: of its speaker, where the k-means asks for that.

        Raises:
            UserError: features of another width than the k-means was learned on, or a speaker that is not given.
        """
        return torch.cat(list(self.stream(lambda: iter([features]), speaker)))

    def stream(self, open_parts: OpenParts, speaker: FrameStatistics | None = None) -> Iterator[Tensor]:
        """The parts of one utterance, (layers, frames, dim) each -> (frames,) int64, part after part.

        Args:
            open_parts: gives them from the start, each time that it is called.
        """
        for frames in self.transform.stream(lambda: map(self._checked, open_parts()), speaker):
            yield assign(frames, self.centroids)

    def _checked(self, features: Tensor) -> Tensor:
        width = features.size(0) * features.size(2)
        if width != self.width:
            raise UserError(
                f"this k-means was learned on frames of {self.width} values ({self.card.describe()}), but the model "
                f"gives {width}; take the model that it was learned on"
            )
        return features.to(self.centroids.device)
