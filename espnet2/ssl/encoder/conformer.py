"""The conformer: attention and convolution in a macaron (Gulati et al., 2020, arXiv 2005.08100)."""

from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor

from espnet2.ssl.encoder.macaron import MacaronBlock
from espnet2.ssl.encoder.stack import BlockStack
from espnet2.ssl.encoder.stack_config import MacaronConfig
from espnet2.ssl.modules.depthwise import ConvModule
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
        conv_causal: bool = Field(False, description="the depthwise convolution sees no frame ahead (w2v-BERT 2.0)")

        @model_validator(mode="after")
        def _odd_kernel(self) -> "ConformerEncoder.Config":
            if self.conv_kernel % 2 == 0:
                raise ValueError(f"conv_kernel is {self.conv_kernel}; expected an odd number of frames")
            return self

        @model_validator(mode="after")
        def _batch_norm_gathers_once(self) -> "ConformerEncoder.Config":
            if self.recompute_blocks and self.conv_norm == "batch":
                raise ValueError(
                    "recompute_blocks is true, but conv_norm batch gathers statistics in every forward pass: it would "
                    "count them twice; set conv_norm to layer or group, or recompute_blocks to false"
                )
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


class ConformerBlock(MacaronBlock):
    """Half a feed-forward part, attention, convolution, the other half; compiled and sharded as one unit."""

    def __init__(self, config: ConformerEncoder.Config) -> None:
        super().__init__(config, lambda: self._build_convolution(config))

    def _build_convolution(self, config: ConformerEncoder.Config) -> None:
        self.convolution = ConvModule(
            config.dim,
            config.conv_kernel,
            config.conv_norm,
            bias=config.conv_bias,
            causal=config.conv_causal,
            dropout=config.dropout,
            norm_eps=config.norm_eps,
        )

    def convolve(self, x: Tensor, attended: Tensor, valid: Tensor | None) -> Tensor:
        """One after the other, each with its residual."""
        x = x + attended
        convolved: Tensor = self.convolution(x, valid)
        return x + convolved
