"""The contrastive head of wav2vec 2.0 (equation 3): cosines of a frame with its target and its distractors."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.ssl.modules.quantizer import Quantized


class ContrastiveHead(nn.Module):
    """Cosine between a projected hidden frame and projected code vectors, over a temperature (wav2vec 2.0, equation 3).

    All frames of a row are compared with all its targets in one product: cheaper than to gather the vectors of a
    hundred distractors for each frame.
    """

    def __init__(self, dim: int, code_dim: int, final_dim: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.hidden_projection = nn.Linear(dim, final_dim)
        self.code_projection = nn.Linear(code_dim, final_dim)

    def forward(self, hidden: Tensor, quantized: Quantized, negatives: Tensor) -> Tensor:
        """Score.

        Args:
            hidden: (batch, frames, dim).
            quantized: the targets of these frames.
            negatives: (batch, frames, distractors) places in the row.

        Returns:
            (batch, frames, 1 + distractors) float32, the true target first; -inf for a distractor that has the same
            codes as the target.
        """
        hidden, targets = self.hidden_projection(hidden), self.code_projection(quantized.vectors)
        with torch.autocast(hidden.device.type, enabled=False):  # a cosine in bf16 has two digits
            scores = F.normalize(hidden.float(), dim=-1) @ F.normalize(targets.float(), dim=-1).mT / self.temperature
        positive = scores.diagonal(dim1=1, dim2=2)[..., None]
        is_same = (quantized.ids[:, :, None] == quantized.ids[:, None]).all(-1)
        return torch.cat([positive, scores.masked_fill(is_same, -torch.inf).gather(2, negatives)], dim=-1)


def count_first_is_best(logits: Tensor, valid: Tensor) -> Tensor:
    """Valid frames whose first score is the best, and not at the same time the worst, as fairseq: scalar."""
    return ((logits.argmax(-1) == 0) & (logits.argmin(-1) != 0) & valid).sum()
