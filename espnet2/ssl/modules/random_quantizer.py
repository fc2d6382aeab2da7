"""The quantizer of BEST-RQ (Chiu et al., 2022, section 3.1): fixed random codes, labels without any training."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class RandomProjectionQuantizer(nn.Module):
    """Codebooks that nobody learns (Chiu et al., 2022, section 3.1): persistent float32 buffers, no parameters.

    The label of a frame is the code whose direction is nearest to that of the projected frame. The values depend on
    the arguments alone, so that all ranks and all runs have the same ones.

    Args:
        dim: width of the frames.
        code_dim: width after the projection.
        num_codebooks: independent projections and codebooks: as many labels per frame (USM, section 3.1).
        seed: of projections (Xavier uniform) and codes (normal).
        norm: scale every frame to zero mean and unit variance over its values first.
    """

    projections: Tensor  # (codebooks, dim, code dim)
    codes: Tensor  # (codebooks, codes, code dim)

    def __init__(self, dim: int, *, code_dim: int, num_codes: int, num_codebooks: int, seed: int, norm: bool) -> None:
        super().__init__()
        self.norm = norm
        home = torch.empty(0).device  # where the model is being built; random numbers are the host's everywhere
        with torch.device("cpu"):
            generator = torch.Generator().manual_seed(seed)
            limit = math.sqrt(6 / (dim + code_dim))
            projections = (2 * torch.rand(num_codebooks, dim, code_dim, generator=generator) - 1) * limit
            codes = torch.randn(num_codebooks, num_codes, code_dim, generator=generator)
        self.register_buffer("projections", projections.to(home))
        self.register_buffer("codes", codes.to(home))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, codebooks) int64."""
        with torch.autocast(x.device.type, enabled=False):  # in half precision the argmax flips
            x = x.float()
            if self.norm:
                x = F.layer_norm(x, x.shape[-1:])
            # The length of the projected frame changes no argmax; the length of a code must not either.
            labels = [
                (x @ projection @ codes.T).argmax(-1)
                for projection, codes in zip(
                    self.projections.float(), F.normalize(self.codes.float(), dim=-1), strict=True
                )
            ]
        return torch.stack(labels, dim=-1)
