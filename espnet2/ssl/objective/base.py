"""What every pre-training method is, and the Loss that it returns."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor, nn

from espnet2.data.batch import Batch, Draw
from espnet2.data.geometry import FrameGeometry
from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.encoder.base import Encoder, Hidden
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.trained_teacher import TrainedTeacher
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError


class Term(NamedTuple):
    """One summand of the loss. The trainer divides `total` by the count gathered over ranks and micro-batches."""

    name: str
    total: Tensor  # scalar: a sum over `count` elements, in float32
    count: Tensor  # type: ignore[assignment]  # a tuple counts too; scalar: elements in the sum, see Objective.counts
    weight: float | Tensor = 1.0  # a float64 scalar where it changes from update to update


class Ratio(NamedTuple):
    """A figure for the log, kept as numerator and denominator so that it reduces exactly."""

    total: Tensor
    count: Tensor  # type: ignore[assignment]  # a tuple counts too


@dataclass(frozen=True)
class Loss:
    """What an objective returns: sums on the device, nothing divided, nothing read back to the host."""

    terms: tuple[Term, ...]
    stats: Mapping[str, Ratio] = field(default_factory=dict)  # detached; name -> sums over this micro-batch


class Codes(NamedTuple):
    """The discrete units that a method itself gives whole utterances."""

    codes: Mapping[int, Tensor]  # one of `Objective.code_numbers` -> (batch, frames) int64, -1 behind the end
    lengths: Tensor  # (batch,) valid frames

    @classmethod
    def of_frames(cls, codes: Mapping[int, Tensor], lengths: Tensor) -> "Codes":
        """Codes of all frames, padding included, and how many frames are valid."""
        num_frames = next(iter(codes.values())).size(1)
        behind = torch.arange(num_frames, device=lengths.device) >= lengths[:, None]
        hidden = {number: ids.masked_fill(behind.to(ids.device), -1) for number, ids in codes.items()}
        return cls(hidden, lengths)


@dataclass(frozen=True)
class Context:
    """What the builder knows and an objective may need."""

    entry: str  # name of this loss entry: the key of its draws and the prefix of its figures in the log
    geometry: FrameGeometry  # frames that reach the encoder
    num_classes: int | None = None  # size of the label set, None without labels
    labels: str = ""  # name of the label set: of `Batch.labels_of`
    num_codebooks: int = 1  # labels of a frame that are all to be named


class LabelledConfig(Config):
    """`conf` of an objective that trains on labels."""

    num_classes: int | None = Field(None, ge=2, description="clusters; left out: as many as the labels have")
    num_codebooks: int | None = Field(None, ge=1, description="labels of a frame; left out: as many as the labels have")

    @model_serializer(mode="wrap")
    def _without_single_codebook(self, dump: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Files and hashes of trainings on one label a frame are those of the time before there were several."""
        values: dict[str, object] = dump(self)
        single = self.num_codebooks in (None, 1)
        return {key: value for key, value in values.items() if key != "num_codebooks" or not single}


class TaughtConfig(Config):
    """`conf` of an objective that learns from a trained model."""

    teacher: str | None = Field(
        None, description="the trained model to learn from: exp/<name>, hf:<user>/<name>, a packed model, a file"
    )
    teacher_dim: int | None = Field(None, gt=0, description="its width; left out: as the run finds it")


class Objective(nn.Module, ABC):
    """A pre-training method.

    One file `espnet2/ssl/objective/<name>.py` holds one subclass, made as `cls(config, frontend, encoder, context)`,
    its `Config` and its `Draw`.
    The shared frontend and encoder belong to `espnet2.ssl.model.SSLModel`, which registers them once; an objective
    holds plain references, so several loss entries can share them without duplicate keys in a checkpoint.
    """

    Config: ClassVar[type[Config]]
    needs_labels: ClassVar[bool] = False  # True: its Config is a LabelledConfig
    takes_vector_labels: ClassVar[bool] = False  # learns from soft labels and from several codebooks, too
    projects_features: ClassVar[bool] = False  # has its own input projection: the config says `project: false`
    target_moves: ClassVar[bool] = False  # a teacher is the target: test for collapse, not for a falling loss

    if TYPE_CHECKING:  # nn.Module's own says nothing about what comes out

        def __call__(self, batch: Batch) -> Loss: ...

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
        """Batch to loss. Changes no persistent state and never synchronises host and device.

        It compiles as one graph: no `if` on a tensor's value, no number that changes from update to update.
        """

    def take_teacher(self, teacher: TrainedTeacher) -> None:
        """Learn from a trained model; called before the first update, before `weights_loaded`, where the `Config` is a
        `TaughtConfig`. It is no part of the student: whoever only uses the student needs no teacher.

        Raises:
            UserError: it does not fit the student.
        """
        raise TypeError(f"{type(self).__name__} learns from no trained model")

    def weights_loaded(self, names: Collection[str]) -> None:
        """Called once, before the first update, where `init_param` gave weights: a teacher copies its student here.

        Args:
            names: of this objective's own weights that came from elsewhere too; these stay.
        """

    def set_max_update(self, max_update: int) -> None:
        """Called before the first update, and after a resume, with the updates of the whole run: what the config writes
        as a share of the run becomes a number.

        Raises:
            UserError: so small a share of so short a run means nothing.
        """

    def before_update(self, update: int) -> None:
        """Called before the forward passes of update `update` (1-based), in training only, alike on all ranks.

        Forget what the forward passes of an earlier, perhaps skipped, update gathered; set what is a function of
        `update` alone, such as a temperature: as a tensor on the model's device, since a compiled graph holds plain
        numbers as constants and would be made anew for each.
        """

    def after_step(self, update: int) -> None:
        """Called once after a finite optimizer step `update` (1-based), on all ranks: teachers and codebooks move here.

        What the ranks gathered is added up with `espnet2.ssl.modules.collective.sum_over_ranks`.
        """

    def frozen_parameters(self, update: int) -> Iterable[nn.Parameter]:
        """Shared parameters that update `update` must leave as they are, weight decay included; a function of `update`.

        Their gradients are computed and dropped: replicas expect a gradient for every parameter they began with.
        """
        return ()

    def warnings(self, figures: Mapping[str, float], update: int) -> list[str]:
        """Signs that the training is collapsing, none in a healthy run.

        Args:
            figures: means over the last interval of the log: `Loss.stats` by name, "loss_<term>" for the terms.
            update: the last of the interval.

        Returns:
            Texts that name the figure, its value, what is healthy, and the usual cures.
        """
        return []

    def chance(self, figures: Mapping[str, float], labels: LabelStatistics | None) -> tuple[Chance, ...]:
        """What each task of the method gives to a model that learns nothing: the watch compares the figures with it.

        Args:
            figures: as for `warnings`; where the targets move, the level follows from what they are now.
            labels: of the labels that this objective is trained on, if they are known.
        """
        return ()

    @property
    def code_numbers(self) -> tuple[int, ...]:
        """The numbers under which `codes` gives the method's own units: codebooks, or layers that have one, from 1.

        Empty where the method names no units.
        """
        return ()

    @property
    def num_codes(self) -> int:
        """Codes of each codebook; 0 where the method names no units."""
        return 0

    def codes(self, wavs: Tensor, lengths: Tensor) -> Codes:
        """The method's own units of whole utterances, without masks and dropout, one of each codebook a frame.

        Args:
            wavs: (batch, samples), scaled as in training (see `Frontend.normalize`).
            lengths: (batch,) samples.

        Raises:
            UserError: the method names no units.
        """
        raise UserError(f"{type(self).__name__} has no codes of its own; take a k-means of a layer")

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
        self.frontend.eval()
        self.encoder.eval()
        try:
            output, frame_lengths = self.encode_whole(wavs, lengths, tuple(layers), branch=branch)
        finally:
            self.frontend.train(training)
            self.encoder.train(training)
        return [output.layers[layer] for layer in layers], frame_lengths

    def encode_whole(
        self, wavs: Tensor, lengths: Tensor, layers: tuple[int, ...], *, branch: str | None = None
    ) -> tuple[Hidden, Tensor]:
        """The pass of `extract`, with gradients and in the model's present mode. Other inputs: override it.

        Returns:
            What the encoder gives, and (batch,) valid frames.
        """
        frames = self.frontend(wavs, lengths)
        frame_lengths = self.frontend.geometry.output_lengths(lengths)
        return self.encoder(frames.inputs, frames.lengths, layers=layers, branch=branch), frame_lengths
