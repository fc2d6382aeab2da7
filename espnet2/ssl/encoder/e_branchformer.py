"""Frames in, hidden layers out: E-Branchformer, attention and a gated convolution side by side, then merged."""

from pydantic import Field, model_validator
from torch import Tensor, nn

from espnet2.ssl.encoder.stack import Block, BlockStack, MacaronConfig, init_as_bert
from espnet2.ssl.modules.attention import AttentionPosition, SelfAttention
from espnet2.ssl.modules.attention_position import layer_position
from espnet2.ssl.modules.depthwise import GatedMLP, Merge
from espnet2.ssl.modules.feed_forward import MacaronFeedForward


class EBranchformerEncoder(BlockStack):
    """E-Branchformer blocks, each ending in a LayerNorm (Kim et al., 2022, arXiv 2210.00077).

    The feed-forward branch of a layer is the output of its second feed-forward part before it is halved.
    """

    convolves = True

    class Config(MacaronConfig):
        """`encoder_conf` of `encoder: e_branchformer`."""

        cgmlp_dim: int = Field(3072, gt=0, description="channels of the gated convolution: content and gate together")
        cgmlp_conv_kernel: int = Field(31, gt=0, description="frames, an odd number")
        merge_conv_kernel: int = Field(31, gt=0, description="frames, an odd number")

        @model_validator(mode="after")
        def _sizes(self) -> "EBranchformerEncoder.Config":
            for name in ("cgmlp_conv_kernel", "merge_conv_kernel"):
                if getattr(self, name) % 2 == 0:
                    raise ValueError(f"{name} is {getattr(self, name)}; expected an odd number of frames")
            if self.cgmlp_dim % 2:
                raise ValueError(f"cgmlp_dim is {self.cgmlp_dim}; expected an even number: half of it is the gate")
            return self

    def __init__(self, config: Config) -> None:
        super().__init__(config, lambda: EBranchformerBlock(config), config.norm_after_blocks())


class EBranchformerBlock(Block):
    """Half a feed-forward part, both branches and their merge, the other half; compiled and sharded as one unit."""

    def __init__(self, config: EBranchformerEncoder.Config) -> None:
        super().__init__()
        dim, dropout, eps = config.dim, config.dropout, config.norm_eps
        width = {"dropout": dropout, "activation_dropout": config.activation_dropout, "norm_eps": eps}
        self.ffn_first = MacaronFeedForward(dim, config.ffn_dim, **width)
        self.attention_norm = nn.LayerNorm(dim, eps=eps)
        position = layer_position(config, dim, config.num_heads)
        self.attention = SelfAttention(dim, config.num_heads, config.attention_dropout, position)
        self.gated_mlp = GatedMLP(dim, config.cgmlp_dim, config.cgmlp_conv_kernel, dropout=dropout, norm_eps=eps)
        self.merge = Merge(dim, config.merge_conv_kernel, dropout=dropout)
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
        attended = self.dropout(self.attention(self.attention_norm(x), mask, position))
        x = x + self.merge(attended, self.gated_mlp(x, valid), valid)
        branch = self.ffn_second(x)
        return self.norm(x + 0.5 * branch), branch
