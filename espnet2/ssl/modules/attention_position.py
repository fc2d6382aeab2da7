"""The choice of positions inside the attention: their keys, the part all layers share, the part of each layer."""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from espnet2.ssl.modules.alibi import Alibi
from espnet2.ssl.modules.gated_relative import BucketTable, PositionGate
from espnet2.ssl.modules.relative import OffsetTable, RelativeLogits, Sinusoids
from espnet2.ssl.modules.relative_key import ClippedOffsets, RelativeKeys
from espnet2.ssl.modules.rotary import RotaryInput, Rotation
from espnet2.utils.config import Config, Tag, tagged

# A bias of the logits (batch or 1, heads, frames, frames), or what gives it; a rotation of the attention's input.
SharedPosition = Tensor | OffsetTable | Rotation
AttentionPositionName = Literal["none", "alibi", "gated_relative", "relative", "relative_key", "rotary_input"]
IN_KERNEL = ("alibi", "gated_relative")  # what `attention_kernel: triton` knows
ATTENTION_POSITIONS = (
    "alibi: data2vec 2.0, SpeechFlow; gated_relative: WavLM; relative: Conformer; relative_key: w2v-BERT 2.0; "
    "rotary_input: Wav2Vec2-Conformer with RoPE"
)


class AttentionPositionConfig(Config):
    """The keys of `encoder_conf` for positions inside the attention."""

    attention_position: AttentionPositionName = Field("none", description=ATTENTION_POSITIONS)
    alibi_learned_scale: bool = Field(False, description="a learned factor per head, not below zero")
    num_buckets: int = Field(320, ge=4, description="of gated_relative: learned biases per head, for both directions")
    max_distance: int = Field(800, gt=1, description="frames; of gated_relative: beyond it all share one bias")
    relative_key_left: int = Field(64, ge=0, description="frames back; of relative_key: beyond it all share one vector")
    relative_key_right: int = Field(8, ge=0, description="frames ahead; of relative_key, likewise")
    attention_kernel: Literal["sdpa", "triton"] = Field(
        "sdpa",
        description="on CUDA; sdpa: PyTorch's, with biases of positions as tensors of (frames x frames); triton: ours, "
        "which makes the biases of alibi and gated_relative inside (no GPU has run it yet)",
        json_schema_extra=tagged(Tag.HOW_TRAINED),
    )

    @model_validator(mode="after")
    def _consistent(self) -> "AttentionPositionConfig":
        if self.alibi_learned_scale and self.attention_position != "alibi":
            raise ValueError(f"alibi_learned_scale needs attention_position alibi, not {self.attention_position}")
        if self.attention_kernel == "triton" and self.attention_position not in IN_KERNEL:
            raise ValueError(
                f"attention_kernel is triton, but attention_position is {self.attention_position}; the kernel makes "
                f"biases of {' and '.join(IN_KERNEL)} only; set attention_kernel to sdpa"
            )
        if self.num_buckets % 4 or self.max_distance <= self.num_buckets // 4:
            raise ValueError(
                f"num_buckets is {self.num_buckets} and max_distance {self.max_distance}; expected a multiple of 4, "
                "and a distance above its quarter: the first quarter are single frames"
            )
        return self


def shared_position(config: AttentionPositionConfig, dim: int, num_heads: int) -> nn.Module | None:
    """What is computed once per forward, outside the blocks: module(offsets, num_frames, num_prefixes)."""
    match config.attention_position:
        case "alibi":
            return Alibi(num_heads, learned_scale=config.alibi_learned_scale)
        case "gated_relative":
            return BucketTable(num_heads, config.num_buckets, config.max_distance)
        case "relative":
            return Sinusoids(dim)
        case "relative_key":
            return ClippedOffsets(config.relative_key_left, config.relative_key_right)
        case "rotary_input":
            return RotaryInput(dim // num_heads)
    return None


def layer_position(config: AttentionPositionConfig, dim: int, num_heads: int) -> nn.Module | None:
    """What each layer makes of it: module(x, query, shared) -> (query, bias); None takes the shared bias as it is."""
    match config.attention_position:
        case "gated_relative":
            return PositionGate(dim, num_heads)
        case "relative":
            return RelativeLogits(dim, num_heads)
        case "relative_key":
            return RelativeKeys(dim // num_heads, config.relative_key_left, config.relative_key_right)
    return None


def add_mask(bias: Tensor, mask: Tensor | None) -> Tensor:
    """A bias of the logits with minus infinity wherever the mask, bool and broadcastable to it, is False."""
    return bias if mask is None else torch.where(mask, bias, float("-inf"))
