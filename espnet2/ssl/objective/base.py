"""Batch in, Loss out: what every pre-training method is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from espnet2.ssl.data.batch import Batch, Draws
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.frontend.geometry import FrameGeometry
from espnet2.utils.config import Config


class Term(NamedTuple):
    """One summand of the loss. The trainer divides `total` by the count gathered over ranks and micro-batches."""

    name: str
    total: Tensor  # scalar: a sum over `count` elements, in float32
    count: Tensor  # scalar: elements in the sum on this rank; equals Objective.counts(batch)[name]
    weight: float = 1.0


class Ratio(NamedTuple):
    """A figure for the log, kept as numerator and denominator so that it reduces exactly."""

    total: Tensor
    count: Tensor


@dataclass(frozen=True)
class Loss:
    """What an objective returns: sums on the device, nothing divided, nothing read back to the host."""

    terms: tuple[Term, ...]
    stats: Mapping[str, Ratio] = field(default_factory=dict)  # detached; name -> sums over this micro-batch


class Draw(ABC):
    """Everything random of one objective, made in the loader. Picklable, pure, without weights."""

    @abstractmethod
    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        """Draw for one micro-batch, from `generator` only.

        Args:
            wav_lengths: (batch,) samples after the crop.

        Returns:
            Tensors of known shape; (batch, frames) ones are padded with "nothing happens".
        """

    def min_samples(self) -> int:
        """Samples an utterance needs for the draw to make sense; shorter ones are refused before training."""
        return 1


@dataclass(frozen=True)
class Context:
    """What the builder knows and an objective may need."""

    entry: str  # name of this loss entry: the key of its draws and the prefix of its figures in the log
    geometry: FrameGeometry  # frames that reach the encoder
    num_classes: int | None = None  # size of the label set, None without labels


class Objective(nn.Module, ABC):
    """A pre-training method.

    One file `espnet2/ssl/objective/<name>.py` holds one subclass, made as `cls(config, frontend, encoder, context)`,
    its `Config` and its `Draw`.
    The shared frontend and encoder belong to `espnet2.ssl.model.SSLModel`, which registers them once; an objective
    holds plain references, so several loss entries can share them without duplicate keys in a checkpoint.
    """

    Config: ClassVar[type[Config]]
    needs_labels: ClassVar[bool] = False
    target_moves: ClassVar[bool] = False  # a teacher is the target: test for collapse, not for a falling loss

    def __init__(self, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__()
        self._shared = (frontend, encoder)  # a tuple hides them from nn.Module's registration
        self.context = context

    @property
    def frontend(self) -> Frontend:
        return self._shared[0]

    @property
    def encoder(self) -> Encoder:
        return self._shared[1]

    @property
    @abstractmethod
    def draw(self) -> Draw:
        """The random part: `objective.draw(wav_lengths, utt_ids, generator)`."""

    @abstractmethod
    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Term name -> float64 count, from draws, labels and lengths on the host, before any forward."""

    @abstractmethod
    def forward(self, batch: Batch) -> Loss:
        """Batch to loss. Changes no persistent state and never synchronises host and device."""

    def after_step(self, update: int) -> None:
        """Called once after a finite optimizer step `update` (1-based): teachers, temperatures, codebooks move here."""

    @torch.no_grad()
    def extract(
        self, wavs: Tensor, lengths: Tensor, layers: Sequence[int], *, branch: str | None = None
    ) -> tuple[list[Tensor], Tensor]:
        """Hidden layers of whole utterances, without masks and dropout: the only way out for features.

        Args:
            wavs: (batch, samples), scaled as in training (see `Frontend.normalize`).
            lengths: (batch,) samples.
            layers: 1-based; layer l is the full output of block l (after the residual; post-LN: after its norm).
                0 is the encoder's input after positions.
            branch: "feed_forward" for the output of the feed-forward branch before the residual.

        Returns:
            ([(batch, frames, dim)] in the order of `layers`, (batch,) valid frames).

        Raises:
            UserError: a layer the encoder does not have.
        """
        training = self.training
        self.frontend.eval(), self.encoder.eval()
        try:
            frames = self.frontend(wavs, lengths)
            output = self.encoder(frames.projected, frames.lengths, layers=tuple(layers), branch=branch)
        finally:
            self.frontend.train(training), self.encoder.train(training)
        return [output.layers[layer] for layer in layers], frames.lengths
