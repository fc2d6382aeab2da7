"""Tokens to hidden states, each from what came before it: a pre-norm transformer with rotary positions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.encoder.base import Encoder, Hidden
from espnet2.ssl.frontend.base import Frontend
from espnet2.unit_lm.config import DecoderConfig

ROTARY_BASE = 10_000.0  # Su et al. 2021 (RoFormer), section 3.2.2
INIT_STD = 0.02  # of embeddings and matrices: GPT-2, Radford et al. 2019


class CausalBlock(nn.Module):
    """Attention to the past, then a feed-forward; both behind a norm, both added."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.attention_norm, self.ffn_norm = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.to_heads = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.from_heads = nn.Linear(config.dim, config.dim, bias=False)
        self.inner = nn.Linear(config.dim, config.ffn_dim)
        self.outer = nn.Linear(config.ffn_dim, config.dim)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """(batch, tokens, dim) -> the same; `rotation` of `rotary_angles`."""
        batch, num_tokens, dim = x.shape
        heads = self.to_heads(self.attention_norm(x)).view(batch, num_tokens, 3, self.num_heads, -1)
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)  # (batch, heads, tokens, dim of a head) of each
        # Padding lies behind the end: no valid token looks there, so that no mask but the causal one is needed.
        mixed = F.scaled_dot_product_attention(
            rotated(queries, rotation),
            rotated(keys, rotation),
            values,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=True,
        )
        joined = self.from_heads(mixed.transpose(1, 2).reshape(batch, num_tokens, dim))
        x = x + F.dropout(joined, self.dropout, self.training)
        inner = self.outer(F.gelu(self.inner(self.ffn_norm(x))))
        return x + F.dropout(inner, self.dropout, self.training)


def rotary_angles(num_tokens: int, head_dim: int, device: torch.device) -> Tensor:
    """(tokens, head_dim / 2) of rotary positions."""
    speeds = ROTARY_BASE ** (-torch.arange(0, head_dim, 2, device=device) / head_dim)
    return torch.arange(num_tokens, device=device)[:, None] * speeds


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Turn pairs of values by the angles of their positions; in float32, as angles of late positions need it."""
    first, second = x.float().chunk(2, dim=-1)
    cosines, sines = angles.cos(), angles.sin()
    return torch.cat([first * cosines - second * sines, first * sines + second * cosines], dim=-1).to(x.dtype)


class Decoder(Encoder):
    """The blocks and a norm. Embedded tokens come in; nothing of a later token reaches an earlier one."""

    layerdrop = 0.0

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.dim, self.num_layers = config.dim, config.num_layers
        self.head_dim = config.dim // config.num_heads
        self.blocks = nn.ModuleList(CausalBlock(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.dim)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INIT_STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

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
        """(batch, tokens, dim) -> the last layer. Nothing else of the interface applies to tokens."""
        if keep is not None or prefix is not None or layers is not None or branch is not None:
            raise TypeError("a decoder of units gives its last layer only")
        rotation = rotary_angles(x.size(1), self.head_dim, x.device)
        for block in self.blocks:
            x = block(x, rotation)
        return Hidden(self.norm(x), {})


class TokenFrontend(Frontend):
    """Nothing: tokens need no analysis. It says how many of them there are in a second."""

    learns_features = False
    normalize = "none"

    def __init__(self, tokens_per_second: int, dim: int) -> None:
        super().__init__()
        self.geometry = self.analysis_geometry = FrameGeometry(((1, 1),), tokens_per_second)
        self.analysis_dim = self.feature_dim = dim
        self.build_projection(dim, projects=False, layer_norm=False, dropout=0.0)

    def analyse(self, wavs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        raise TypeError("units have no waveform")
