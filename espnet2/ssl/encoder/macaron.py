"""The base of the blocks of conformer and E-Branchformer: attention between two halves of a feed-forward part."""

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from espnet2.ssl.encoder.stack import Block, init_as_bert
from espnet2.ssl.encoder.stack_config import MacaronConfig
from espnet2.ssl.modules.attention import AttentionPosition, SelfAttention
from espnet2.ssl.modules.attention_position import layer_position
from espnet2.ssl.modules.feed_forward import MacaronFeedForward


class MacaronBlock(Block):
    """Half a feed-forward part, attention and a convolution, the other half; compiled and sharded as one unit."""

    def __init__(self, config: MacaronConfig, build_convolution: Callable[[], None]) -> None:
        """
        Args:
            build_convolution: makes the parts between attention and the second half, as members of the block.
        """
        super().__init__()
        dim, dropout, eps = config.dim, config.dropout, config.norm_eps
        width = {"dropout": dropout, "activation_dropout": config.activation_dropout, "norm_eps": eps}
        self.ffn_first = MacaronFeedForward(dim, config.ffn_dim, **width)
        self.attention_norm = nn.LayerNorm(dim, eps=eps)
        position = layer_position(config, dim, config.num_heads)
        self.attention = SelfAttention(dim, config.num_heads, config.attention_dropout, position)
        # Here and no later: the order of parts is that of the random draws and of the optimizer's parameters.
        build_convolution()
        self.ffn_second = MacaronFeedForward(dim, config.ffn_dim, **width)
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.dropout = nn.Dropout(dropout)
        init_as_bert(self)

    @abstractmethod
    def convolve(self, x: Tensor, attended: Tensor, valid: Tensor | None) -> Tensor:
        """Join attention and convolution with their residual.

        Args:
            x: (batch, frames, dim), what attention was given.
            attended: (batch, frames, dim), what attention made of it.
            valid: (batch, frames) bool; None: all are.

        Returns:
            (batch, frames, dim)
        """

    def forward(
        self, x: Tensor, mask: Tensor | None, position: AttentionPosition | None = None, valid: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Transform; see `BlockStack`.

        Returns:
            The output, and the second feed-forward branch before it is halved.
        """
        x = x + 0.5 * self.ffn_first(x)
        x = self.convolve(x, self.dropout(self.attention(self.attention_norm(x), mask, position)), valid)
        branch = self.ffn_second(x)
        return self.norm(x + 0.5 * branch), branch
