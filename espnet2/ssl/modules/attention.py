"""Multi-head self-attention over frames, with or without positions inside it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.attention_backend import attends_in_float32
from espnet2.ssl.modules.attention_position import SharedPosition, add_mask
from espnet2.ssl.modules.attention_rows import LongPosition
from espnet2.ssl.modules.gated_relative import PositionGate
from espnet2.ssl.modules.position_kernel import KernelPosition, attend_in_kernel
from espnet2.ssl.modules.rotary import Rotation

AttentionPosition = SharedPosition | LongPosition | KernelPosition


class SelfAttention(nn.Module):
    """Multi-head self-attention over all frames; scaled dot-product attention of PyTorch does the work.

    Args:
        position: this layer's part of the positions inside the attention, see `layer_position`.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float, position: nn.Module | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.qkv = nn.Linear(dim, 3 * dim)  # queries, keys, values, in this order
        self.output = nn.Linear(dim, dim)
        self.position = position

    def forward(self, x: Tensor, mask: Tensor | None, position: AttentionPosition | None = None) -> Tensor:
        """Attend.

        Args:
            x: (batch, frames, dim).
            mask: broadcastable to (batch, heads, frames, frames): bool, True where a query may look at a key; or float,
                added to the logits. None: every frame looks at every frame.
            position: what `shared_position` returned, where this layer has a part of its own; `mask` is bool then.
                Or a `LongPosition` or `KernelPosition`, which have the mask in them, or a `Rotation` of what queries
                and keys are made of.

        Returns:
            (batch, frames, dim).
        """
        batch, frames, dim = x.shape
        projected = self.qkv(x)
        if isinstance(position, Rotation):  # values come of the input as it is
            turned = self.qkv(position.turn(x, self.num_heads))
            projected = torch.cat([turned[..., : 2 * dim], projected[..., 2 * dim :]], dim=-1)
        heads = projected.view(batch, frames, 3, self.num_heads, dim // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, heads, frames, dim / heads) each
        if isinstance(position, LongPosition):
            parts = [
                self._mix(x[:, rows.part], query[:, :, rows.part], key, value, rows.mask, rows.position)
                for rows in position
            ]
            mixed = torch.cat(parts, dim=2)
        elif isinstance(position, KernelPosition):
            gate = self.position.logged_gate(x) if isinstance(self.position, PositionGate) else None
            mixed = attend_in_kernel(query, key, value, position, gate, self.dropout if self.training else 0.0)
        else:
            mixed = self._mix(x, query, key, value, mask, position)
        attended: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, frames, dim))
        return attended

    def _mix(
        self,
        x: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        position: SharedPosition | None,
    ) -> Tensor:
        """The values that each query asks for: (batch, heads, queries, dim / heads)."""
        if self.position is not None:
            query, bias = self.position(x, query, position)
            mask = add_mask(bias, mask)
        if mask is not None and mask.is_floating_point():
            mask = mask.to(query.dtype)  # autocast leaves some biases in float32
        dropout = self.dropout if self.training else 0.0
        if attends_in_float32(query):
            return self._attend_in_float32(query, key, value, mask, dropout)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)

    @staticmethod
    def _attend_in_float32(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
        if mask is not None and mask.is_floating_point():
            mask = mask.float()
        with torch.autocast("cpu", enabled=False):
            mixed = F.scaled_dot_product_attention(
                query.float(), key.float(), value.float(), attn_mask=mask, dropout_p=dropout
            )
        return mixed.to(query.dtype)
