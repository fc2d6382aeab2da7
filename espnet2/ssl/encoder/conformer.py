"""Frames in, hidden layers out: the conformer, attention and convolution between two halves of a feed-forward part."""

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from espnet2.ssl.encoder.stack import Block, BlockStack, MacaronConfig, init_as_bert
from espnet2.ssl.modules.attention import AttentionPosition, SelfAttention
from espnet2.ssl.modules.attention_position import layer_position
from espnet2.ssl.modules.depthwise import ConvModule
from espnet2.ssl.modules.feed_forward import MacaronFeedForward
from espnet2.ssl.modules.frame_norm import FrameBatchNorm


class ConformerEncoder(BlockStack):
    """Conformer blocks, each ending in a LayerNorm (Gulati et al., 2020, arXiv 2005.08100).

    The feed-forward branch of a layer is the output of its second feed-forward part before it is halved.
    """

    convolves = True

    class Config(MacaronConfig):
        """`encoder_conf` of `encoder: conformer`."""

        conv_kernel: int = Field(31, gt=0, description="frames, an odd number (the paper's 32 has no middle)")
        conv_norm: Literal["batch", "layer", "group"] = Field(
            "layer", description="after the depthwise convolution; batch is the paper's and spans all ranks"
        )
        conv_bias: bool = Field(True, description="biases in the convolution part")

        @model_validator(mode="after")
        def _odd_kernel(self) -> "ConformerEncoder.Config":
            if self.conv_kernel % 2 == 0:
                raise ValueError(f"conv_kernel is {self.conv_kernel}; expected an odd number of frames")
            return self

    def __init__(self, config: Config) -> None:
        super().__init__(config, lambda: ConformerBlock(config), config.norm_after_blocks())

    def before_update(self, update: int) -> None:
        """Forget the statistics of a skipped step."""
        for norm in self._batch_norms():
            norm.forget()

    def after_step(self, update: int) -> None:
        """Move the running statistics of batch norm."""
        for norm in self._batch_norms():
            norm.commit()

    def _batch_norms(self) -> list[FrameBatchNorm]:
        return [module for module in self.modules() if isinstance(module, FrameBatchNorm)]


class ConformerBlock(Block):
    """Half a feed-forward part, attention, convolution, the other half; compiled and sharded as one unit."""

    def __init__(self, config: ConformerEncoder.Config) -> None:
        super().__init__()
        dim, dropout, eps = config.dim, config.dropout, config.norm_eps
        width = {"dropout": dropout, "activation_dropout": config.activation_dropout, "norm_eps": eps}
        self.ffn_first = MacaronFeedForward(dim, config.ffn_dim, **width)
        self.attention_norm = nn.LayerNorm(dim, eps=eps)
        position = layer_position(config, dim, config.num_heads)
        self.attention = SelfAttention(dim, config.num_heads, config.attention_dropout, position)
        self.convolution = ConvModule(
            dim, config.conv_kernel, config.conv_norm, bias=config.conv_bias, dropout=dropout, norm_eps=eps
        )
        self.ffn_second = MacaronFeedForward(dim, config.ffn_dim, **width)
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.dropout = nn.Dropout(dropout)
        init_as_bert(self)

    def forward(
        self, x: Tensor, mask: Tensor | None, position: AttentionPosition | None = None, valid: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Transform; see `BlockStack`.

        Returns:
            The output, and the second feed-forward branch before it is halved.
        """
        x = x + 0.5 * self.ffn_first(x)
        x = x + self.dropout(self.attention(self.attention_norm(x), mask, position))
        x = x + self.convolution(x, valid)
        branch = self.ffn_second(x)
        return self.norm(x + 0.5 * branch), branch
