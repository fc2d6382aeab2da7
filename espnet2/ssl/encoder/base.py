"""What every encoder is: the keys that all have, one entry point, and the hidden layers that it returns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field
from torch import Tensor, nn

from espnet2.utils.config import Config
from espnet2.utils.errors import UserError


class Hidden(NamedTuple):
    """What an encoder returns."""

    last: Tensor | None  # (batch, frames, dim) after the final norm; None when `layers` ends below the top
    layers: Mapping[int, Tensor]  # 1-based layer -> (batch, frames, dim); only those asked for

    @property
    def output(self) -> Tensor:
        """`last`, of an encoder that was asked for no less.

        Raises:
            TypeError: it computed no further than `layers`.
        """
        if self.last is None:
            raise TypeError("the encoder stopped below its top: there is no output")
        return self.last


class EncoderConfig(Config):
    """The keys of `encoder_conf` that every encoder has; the defaults are HuBERT Base."""

    num_layers: int = Field(12, gt=0, description="blocks")
    dim: int = Field(768, gt=0, description="width of frames between the blocks")


class Encoder(nn.Module, ABC):
    """A stack of blocks with one entry point: sharding and compilation hook into `forward` only.

    One file `espnet2/ssl/encoder/<name>.py` holds one subclass, made as `cls(config)`, and its `Config`.
    """

    Config: ClassVar[type[EncoderConfig]]
    blocks: nn.ModuleList  # compiled and sharded one by one
    dim: int
    num_layers: int
    layerdrop: float  # probability that a training update skips a block
    convolves: ClassVar[bool] = False  # blocks need every frame's neighbours, so `keep` is refused
    bias_needs_all_frames: bool = False  # so does attention's kernel, which sums over equal offsets

    if TYPE_CHECKING:  # nn.Module's own says nothing about what comes out

        def __call__(
            self,
            x: Tensor,
            lengths: Tensor | None,
            *,
            keep: Tensor | None = None,
            prefix: Tensor | None = None,
            layers: Sequence[int] | None = None,
            branch: str | None = None,
        ) -> Hidden: ...

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None,
        *,
        keep: Tensor | None = None,
        prefix: Tensor | None = None,
        layers: Sequence[int] | None = None,
        branch: str | None = None,
    ) -> Hidden:
        """Encode.

        Args:
            x: (batch, frames, dim).
            lengths: (batch,) valid frames; None where all frames of all rows are valid (attention needs no mask then).
            keep: (batch, kept) indices of the frames to go on with, gathered after positions are added
                (data2vec 2.0: visible frames only); negative = padding, only where `lengths` is given.
            prefix: (batch, prefixes, dim) put before the frames after positions are added (a time token).
            layers: 1-based layers to return (0: the input after positions); computes no further than the largest.
                None: computes everything and returns `last` only.
            branch: "feed_forward" returns, for `layers`, the feed-forward branch before its residual.

        Raises:
            UserError: a layer outside 0..num_layers, or `keep` where the blocks convolve.
        """

    def set_layerdrop(self, keep: Tensor) -> None:
        """Choose the blocks of this update: (num_layers,) bool, the same on all ranks, on the host."""

    def scores_in_parts(self, num_frames: int) -> bool:
        """Whether a forward pass without gradient goes through the queries of so many frames in several parts."""
        return False

    def depth(self, name: str) -> int:
        """How high a parameter lies: 0 below the blocks, l in block l, num_layers + 1 above them.

        Args:
            name: of one of this encoder's parameters, as `named_parameters` gives it.
        """
        part, _, inside = name.partition(".")
        return int(inside.partition(".")[0]) + 1 if part == "blocks" else 0

    def before_update(self, update: int) -> None:
        """Called before the forwards of optimizer step `update` (1-based): forget what a skipped one gathered."""

    def after_step(self, update: int) -> None:
        """Called once after a finite optimizer step: running statistics move here, never in `forward`."""


def forbid_layerdrop(encoder: Encoder, objective: str, why: str) -> None:
    """Refuse an encoder that may skip a block which the objective reads at a fixed place.

    Args:
        objective: the name of the loss entry.
        why: what would break, such as "the contrastive loss reads block 2".

    Raises:
        UserError: the encoder has layerdrop.
    """
    if encoder.layerdrop > 0:
        raise UserError(
            f"loss ({objective}): layerdrop is {encoder.layerdrop}, but {why}; set encoder_conf: layerdrop to 0"
        )


def require_keep(encoder: Encoder, objective: str) -> None:
    """Refuse an encoder that cannot encode the visible frames only, for an objective that asks for it.

    Raises:
        UserError: the encoder's blocks convolve neighbouring frames, or its attention's kernel needs all.
    """
    if encoder.convolves:
        raise UserError(
            f"{objective}: encodes visible frames only, but the blocks of this encoder convolve neighbouring frames; "
            "use encoder: transformer"
        )
    if encoder.bias_needs_all_frames:
        raise UserError(
            f"{objective}: encodes visible frames only, but attention_kernel triton needs all of them for "
            "attention_position gated_relative; set encoder_conf: attention_kernel to sdpa"
        )


def check_layers(layers: Sequence[int] | None, num_layers: int, branch: str | None) -> int:
    """The number of blocks to compute for `layers`; all of them for None.

    Raises:
        UserError: a layer outside 0..num_layers, or no such branch there.
    """
    if branch not in (None, "feed_forward"):
        raise UserError(f"branch '{branch}' of a layer is not known; expected 'feed_forward' or none")
    lowest = 1 if branch else 0
    for layer in layers or ():
        if not lowest <= layer <= num_layers:
            raise UserError(
                f"the model has no layer {layer}{' with a feed-forward branch' if branch else ''}; "
                f"it has layers {lowest} to {num_layers}"
            )
    return max(layers) if layers else num_layers
