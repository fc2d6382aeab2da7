"""Frames in, hidden layers out: the transformer of wav2vec 2.0 and HuBERT, post-LN or pre-LN."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.encoder.base import Encoder, Hidden, check_layers
from espnet2.ssl.modules.attention import SelfAttention
from espnet2.ssl.modules.lengths import valid_frames, zero_padding
from espnet2.ssl.modules.position import ConvPosition, gather_frames
from espnet2.utils import config


class TransformerEncoder(Encoder):
    """Convolutional positions, then blocks of self-attention and feed-forward (Vaswani et al., 2017)."""

    class Config(config.Config):
        """`encoder_conf` of `encoder: transformer`; the defaults are HuBERT Base."""

        num_layers: int = Field(12, gt=0)
        dim: int = Field(768, gt=0)
        num_heads: int = Field(12, gt=0)
        ffn_dim: int = Field(3072, gt=0, description="width inside the feed-forward part")
        norm: Literal["post", "pre"] = Field("post", description="LayerNorm after (Base) or before (Large) each part")
        dropout: float = Field(0.1, ge=0, lt=1, description="of the input and of each part's output")
        attention_dropout: float = Field(0.1, ge=0, lt=1)
        activation_dropout: float = Field(0.0, ge=0, lt=1, description="inside the feed-forward part")
        layerdrop: float = Field(0.05, ge=0, lt=1, description="probability that an update skips a block")
        position_kernel: int = Field(128, gt=0, description="frames")
        position_groups: int = Field(16, gt=0)
        position_weight_norm: bool = Field(True, description="normalise the weights of each kernel position")

        @model_validator(mode="after")
        def _divisible(self) -> "TransformerEncoder.Config":
            for name in ("num_heads", "position_groups"):
                if self.dim % getattr(self, name):
                    raise ValueError(f"dim {self.dim} is not a multiple of {name} {getattr(self, name)}")
            return self

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dim, self.num_layers, self.layerdrop = config.dim, config.num_layers, config.layerdrop
        self.pre_norm = config.norm == "pre"
        self.position = ConvPosition(
            config.dim, config.position_kernel, config.position_groups, weight_norm=config.position_weight_norm
        )
        self.norm = nn.LayerNorm(config.dim)  # post-LN: before the first block; pre-LN: after the last
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_layers))
        self.register_buffer("block_is_kept", torch.ones(config.num_layers, dtype=torch.bool), persistent=False)

    def set_layerdrop(self, keep: Tensor) -> None:
        """Choose the blocks of this update: (num_layers,) bool, on the host."""
        self.block_is_kept.copy_(keep, non_blocking=True)

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
        """Encode; see `Encoder.forward`."""
        top = check_layers(layers, self.num_layers, branch)
        valid = valid_frames(lengths, x.size(1))
        x = zero_padding(x, valid)
        x = x + self.position(x)
        if keep is not None:
            x, valid = gather_frames(x, keep), None if valid is None else keep >= 0
        if prefix is not None:
            x = torch.cat([prefix.to(x.dtype), x], dim=1)
            valid = None if valid is None else F.pad(valid, (prefix.size(1), 0), value=True)
        x = self.dropout(x if self.pre_norm else self.norm(x))
        mask = None if valid is None else valid[:, None, None, :]
        wanted = set(layers or ())
        found = {0: x} if 0 in wanted else {}
        for number, block in enumerate(self.blocks[:top], 1):
            output, feed_forward = block(x, mask)
            if self.training and self.layerdrop > 0:  # both sides stay in the graph: no unused parameters
                output = torch.where(self.block_is_kept[number - 1], output, x)
            x = output
            if number in wanted:
                found[number] = feed_forward if branch else x
        if top < self.num_layers:
            return Hidden(None, found)
        return Hidden(self.norm(x) if self.pre_norm else x, found)


class TransformerBlock(nn.Module):
    """Self-attention and feed-forward, each with a residual; compiled and sharded as one unit."""

    def __init__(self, config: TransformerEncoder.Config) -> None:
        super().__init__()
        self.pre_norm = config.norm == "pre"
        self.attention = SelfAttention(config.dim, config.num_heads, config.attention_dropout)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.ffn_in = nn.Linear(config.dim, config.ffn_dim)
        self.ffn_out = nn.Linear(config.ffn_dim, config.dim)
        self.ffn_norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)  # BERT, as in fairseq's init_bert_params
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """(batch, frames, dim), mask of `SelfAttention` -> output, feed-forward branch before its residual."""
        if self.pre_norm:
            x = x + self.dropout(self.attention(self.attention_norm(x), mask))
            branch = self._feed_forward(self.ffn_norm(x))
            return x + branch, branch
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        branch = self._feed_forward(x)
        return self.ffn_norm(x + branch), branch

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.ffn_out(self.activation_dropout(F.gelu(self.ffn_in(x)))))
