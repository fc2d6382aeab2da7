"""The transformer of wav2vec 2.0 and HuBERT, post-LN or pre-LN (Vaswani et al., 2017)."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.encoder.stack import Block, BlockStack, init_as_bert
from espnet2.ssl.encoder.stack_config import StackConfig
from espnet2.ssl.modules.attention import AttentionPosition, SelfAttention
from espnet2.ssl.modules.attention_position import layer_position
from espnet2.ssl.modules.formulation import compute_dtype
from espnet2.utils.config import Tag, tagged


class TransformerEncoder(BlockStack):
    """Blocks of self-attention and feed-forward (Vaswani et al., 2017)."""

    class Config(StackConfig):
        """`encoder_conf` of `encoder: transformer`; the defaults are HuBERT Base."""

        norm: Literal["post", "pre"] = Field("post", description="LayerNorm after (Base) or before (Large) each part")
        outer_norms: Literal["one", "none", "both"] = Field(
            "one",
            description="one: before the first block where norm is post, after the last where it is pre; ESPnet's ssl1 "
            "has none (post) or both (pre); of both, the first has an epsilon of 1e-5",
        )
        norm_output: Literal["float32", "autocast"] = Field(
            "float32",
            description="type of the LayerNorms' results in mixed precision; autocast: with norm post the residual has "
            "it too, rounded after each part: fewer bytes",
            json_schema_extra=tagged(Tag.HOW_TRAINED),
        )
        activation: Literal["gelu", "relu"] = Field("gelu", description="in the feed-forward part; ESPnet's ssl1: relu")

        @model_validator(mode="after")
        def _knows_frames_by_offsets(self) -> "TransformerEncoder.Config":
            if self.attention_position == "rotary_input":
                raise ValueError(
                    "attention_position is rotary_input, but a transformer may be given some of the frames only, which "
                    "would then have the time of others; use encoder: conformer, or another position"
                )
            return self

    def __init__(self, config: Config) -> None:
        norm_is_first = config.outer_norms == "one" and config.norm == "post"
        narrow = config.norm_output == "autocast"
        outer = BlockNorm(config.dim, config.norm_eps, narrow=narrow and norm_is_first)
        super().__init__(config, lambda: TransformerBlock(config), None if config.outer_norms == "none" else outer)
        self.pre_norm = config.norm == "pre"
        self.norm_is_first = norm_is_first
        self.entry_norm = BlockNorm(config.dim, narrow=narrow) if config.outer_norms == "both" else None

    def enter(self, x: Tensor) -> Tensor:
        """Normalise the input of the first block where this stack does."""
        norm = self.norm if self.norm_is_first else self.entry_norm
        entered: Tensor = x if norm is None else norm(x)
        return entered

    def leave(self, x: Tensor) -> Tensor:
        """Normalise the output of the last block where this stack does."""
        return x if self.norm_is_first else super().leave(x)

    def depth(self, name: str) -> int:
        """See `Encoder.depth`; the one norm may lie below the blocks."""
        return 0 if self.norm_is_first and name.startswith("norm.") else super().depth(name)


class BlockNorm(nn.LayerNorm):
    """LayerNorm over the channels, in float32.

    Args:
        narrow: give its result in the type that autocast computes products in, which reads it next.
    """

    def __init__(self, dim: int, eps: float = 1e-5, *, narrow: bool) -> None:
        super().__init__(dim, eps=eps)
        self.narrow = narrow

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) -> the same shape."""
        normalised = super().forward(x)
        return normalised.to(compute_dtype(x)) if self.narrow else normalised


class TransformerBlock(Block):
    """Self-attention and feed-forward, each with a residual; compiled and sharded as one unit."""

    def __init__(self, config: TransformerEncoder.Config) -> None:
        super().__init__()
        self.pre_norm = config.norm == "pre"
        position = layer_position(config, config.dim, config.num_heads)
        self.attention = SelfAttention(config.dim, config.num_heads, config.attention_dropout, position)
        narrow = config.norm_output == "autocast"
        self.attention_norm = BlockNorm(config.dim, config.norm_eps, narrow=narrow)
        self.ffn_in = nn.Linear(config.dim, config.ffn_dim)
        self.ffn_out = nn.Linear(config.ffn_dim, config.dim)
        self.ffn_norm = BlockNorm(config.dim, config.norm_eps, narrow=narrow)
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        activations: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu}
        self.activation = activations[config.activation]
        init_as_bert(self)

    def forward(
        self, x: Tensor, mask: Tensor | None, position: AttentionPosition | None = None, valid: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Transform.

        Args:
            x: (batch, frames, dim).
            mask, position: of `SelfAttention.forward`.
            valid: not needed here.

        Returns:
            The output, and the feed-forward branch before its residual.
        """
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask, position))
            branch = self._feed_forward(self.ffn_norm(x))
            return x + branch, branch
        x = self.attention_norm(x + self.dropout(self.attention(x, mask, position)))
        branch = self._feed_forward(x)
        return self.ffn_norm(x + branch), branch

    def _feed_forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.dropout(self.ffn_out(self.activation_dropout(self.activation(self.ffn_in(x)))))
        return branch
