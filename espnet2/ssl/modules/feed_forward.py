"""The feed-forward part of a macaron: its residual takes half of it (Gulati et al., 2020, section 2.2)."""

from torch import Tensor, nn
from torch.nn import functional as F


class MacaronFeedForward(nn.Module):
    """LayerNorm, Linear, Swish, Linear; its residual takes half of it (Conformer: Gulati et al., 2020, section 2.2)."""

    def __init__(
        self, dim: int, ffn_dim: int, *, dropout: float, activation_dropout: float, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=norm_eps)
        self.inner = nn.Linear(dim, ffn_dim)
        self.output = nn.Linear(ffn_dim, dim)
        self.dropout = nn.Dropout(dropout)
        self.activation_dropout = nn.Dropout(activation_dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, dim), before halving and residual."""
        branch: Tensor = self.dropout(self.output(self.activation_dropout(F.silu(self.inner(self.norm(x))))))
        return branch
