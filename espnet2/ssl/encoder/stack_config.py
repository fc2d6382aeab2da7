"""The keys of encoders that are a stack of equal blocks."""

from typing import Literal

from pydantic import Field, model_validator
from torch import nn

from espnet2.ssl.encoder.base import EncoderConfig
from espnet2.ssl.kernels.attention import LARGEST_HEAD_DIM
from espnet2.ssl.modules.attention_position import ATTENTION_POSITIONS, AttentionPositionConfig, AttentionPositionName
from espnet2.utils.config import Tag, tagged

POSITION_KERNELS = {"conv": 128, "conv_stack": 19}  # wav2vec 2.0; data2vec 2.0: 95 frames in 5 convolutions

_TRAINED = tagged(Tag.HOW_TRAINED)


class StackConfig(EncoderConfig, AttentionPositionConfig):
    """The keys of `encoder_conf` that every stack has; the defaults are HuBERT Base."""

    num_heads: int = Field(12, gt=0, description="of the attention; divides `dim`")
    ffn_dim: int = Field(3072, gt=0, description="width inside the feed-forward part")
    dropout: float = Field(
        0.1, ge=0, lt=1, description="of the input and of each part's output", json_schema_extra=_TRAINED
    )
    attention_dropout: float = Field(
        0.1, ge=0, lt=1, description="of the attention weights", json_schema_extra=_TRAINED
    )
    activation_dropout: float = Field(
        0.0, ge=0, lt=1, description="inside the feed-forward part", json_schema_extra=_TRAINED
    )
    layerdrop: float = Field(
        0.05, ge=0, lt=1, description="probability that an update skips a block", json_schema_extra=_TRAINED
    )
    position: Literal["conv", "conv_stack", "none"] = Field("conv", description="added to the input of the first block")
    position_join: Literal["add", "replace"] = Field("add", description="replace: only positions go on (ESPnet's ssl1)")
    position_kernel: int = Field(128, gt=0, description="frames; where left out, 19 for conv_stack")
    position_groups: int = Field(16, gt=0, description="of conv and conv_stack")
    position_depth: int = Field(5, gt=0, description="convolutions of conv_stack")
    position_weight_norm: bool = Field(True, description="of conv: normalise the weights of each kernel position")
    norm_eps: float = Field(1e-5, gt=0, description="epsilon of the encoder's LayerNorms; ESPnet's ssl1: 1e-12")
    recompute_blocks: bool = Field(
        False,
        description="compute every block again in the backward pass: less memory, a third more time",
        json_schema_extra=_TRAINED,
    )
    long_skips: bool = Field(False, description="U shape: the output of block i joins the input of block n + 1 - i")

    @model_validator(mode="before")
    @classmethod
    def _fill_kernel(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        kernel = POSITION_KERNELS.get(values.get("position", ""))
        return {"position_kernel": kernel, **values} if kernel else values

    @model_validator(mode="after")
    def _divisible(self) -> "StackConfig":
        for name in ("num_heads", "position_groups"):
            if self.dim % getattr(self, name) and not (name == "position_groups" and self.position == "none"):
                raise ValueError(f"dim {self.dim} is not a multiple of {name} {getattr(self, name)}")
        if self.dim % 2 and self.attention_position == "relative":
            raise ValueError(f"dim {self.dim} is odd; relative positions are pairs of a sine and a cosine")
        if self.attention_position == "rotary_input" and self.dim // self.num_heads % 2:
            raise ValueError(f"dim {self.dim} / num_heads {self.num_heads} is odd; rotary positions turn pairs")
        if self.attention_kernel == "triton" and self.dim // self.num_heads > LARGEST_HEAD_DIM:
            raise ValueError(
                f"attention_kernel is triton, but dim {self.dim} / num_heads {self.num_heads} is above "
                f"{LARGEST_HEAD_DIM}; set attention_kernel to sdpa"
            )
        if self.position == "none" and self.position_join == "replace":
            raise ValueError("position_join is replace, but position is none: nothing would be left of the input")
        if self.long_skips and self.layerdrop > 0:
            raise ValueError(f"layerdrop is {self.layerdrop}, but long_skips reads fixed blocks; set layerdrop to 0")
        return self


class MacaronConfig(StackConfig):
    """Of encoders whose blocks convolve between two half feed-forward parts: positions come with the attention."""

    layerdrop: float = Field(
        0.0, ge=0, lt=1, description="probability that an update skips a block", json_schema_extra=_TRAINED
    )
    position: Literal["conv", "conv_stack", "none"] = Field("none", description="added to the input of the first block")
    attention_position: AttentionPositionName = Field("relative", description=ATTENTION_POSITIONS)
    final_norm: bool = Field(False, description="one more LayerNorm after the last block (ESPnet's ssl1)")

    def norm_after_blocks(self) -> nn.LayerNorm | None:
        """What `final_norm` asks for."""
        return nn.LayerNorm(self.dim, eps=self.norm_eps) if self.final_norm else None
