"""HuBERT's prediction head (equation 3): cosines of a frame with one learned vector per class."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CosineHead(nn.Module):
    """Cosine between a projected frame and one learned vector per class, over a temperature (HuBERT, equation 3)."""

    def __init__(self, dim: int, label_dim: int, num_classes: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.projection = nn.Linear(dim, label_dim)
        self.label_embeddings = nn.Parameter(torch.rand(num_classes, label_dim))  # U(0, 1), as fairseq

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, frames, dim) -> (batch, frames, classes) float32, within -1 / temperature .. 1 / temperature."""
        projected = self.projection(hidden)
        with torch.autocast(hidden.device.type, enabled=False):  # a cosine in bf16 has two digits
            frames = F.normalize(projected.float(), dim=-1)
            classes = F.normalize(self.label_embeddings.float(), dim=-1)
            return frames @ classes.T / self.temperature
