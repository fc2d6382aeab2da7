"""E-Branchformer: attention beside a gated convolution, then merged (Kim et al., 2022, arXiv 2210.00077)."""

from pydantic import Field, model_validator
from torch import Tensor

from espnet2.ssl.encoder.macaron import MacaronBlock
from espnet2.ssl.encoder.stack import BlockStack
from espnet2.ssl.encoder.stack_config import MacaronConfig
from espnet2.ssl.modules.depthwise import GatedMLP, Merge


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


class EBranchformerBlock(MacaronBlock):
    """Half a feed-forward part, both branches and their merge, the other half; compiled and sharded as one unit."""

    def __init__(self, config: EBranchformerEncoder.Config) -> None:
        super().__init__(config, lambda: self._build_convolution(config))

    def _build_convolution(self, config: EBranchformerEncoder.Config) -> None:
        self.gated_mlp = GatedMLP(
            config.dim, config.cgmlp_dim, config.cgmlp_conv_kernel, dropout=config.dropout, norm_eps=config.norm_eps
        )
        self.merge = Merge(config.dim, config.merge_conv_kernel, dropout=config.dropout)

    def convolve(self, x: Tensor, attended: Tensor, valid: Tensor | None) -> Tensor:
        """Side by side, then merged, with one residual."""
        merged: Tensor = self.merge(attended, self.gated_mlp(x, valid), valid)
        return x + merged
