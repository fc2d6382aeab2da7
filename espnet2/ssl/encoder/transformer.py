"""Frames in, hidden layers out: the transformer of wav2vec 2.0 and HuBERT, post-LN or pre-LN."""

from typing import Any, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.encoder.stack import BlockStack, StackConfig, init_as_bert
from espnet2.ssl.modules.attention import SelfAttention
from espnet2.ssl.modules.attention_position import layer_position


class TransformerEncoder(BlockStack):
    """Blocks of self-attention and feed-forward (Vaswani et al., 2017)."""

    class Config(StackConfig):
        """`encoder_conf` of `encoder: transformer`; the defaults are HuBERT Base."""

        norm: Literal["post", "pre"] = Field("post", description="LayerNorm after (Base) or before (Large) each part")

    def __init__(self, config: Config) -> None:
        # post-LN: the norm is before the first block; pre-LN: after the last
        super().__init__(config, lambda: TransformerBlock(config), nn.LayerNorm(config.dim))
        self.pre_norm = config.norm == "pre"

    def enter(self, x: Tensor) -> Tensor:
        """Post-LN normalises the input of the first block."""
        return x if self.pre_norm else self.norm(x)

    def leave(self, x: Tensor) -> Tensor:
        """Pre-LN normalises the output of the last block."""
        return self.norm(x) if self.pre_norm else x


class TransformerBlock(nn.Module):
    """Self-attention and feed-forward, each with a residual; compiled and sharded as one unit."""

    def __init__(self, config: TransformerEncoder.Config) -> None:
        super().__init__()
        self.pre_norm = config.norm == "pre"
        position = layer_position(config, config.dim, config.num_heads)
        self.attention = SelfAttention(config.dim, config.num_heads, config.attention_dropout, position)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.ffn_in = nn.Linear(config.dim, config.ffn_dim)
        self.ffn_out = nn.Linear(config.ffn_dim, config.dim)
        self.ffn_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        init_as_bert(self)

    def forward(
        self, x: Tensor, mask: Tensor | None, position: Any = None, valid: Tensor | None = None
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
        return self.dropout(self.ffn_out(self.activation_dropout(F.gelu(self.ffn_in(x)))))
