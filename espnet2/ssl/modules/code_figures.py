"""Codes and predictions of the codebooks of one micro-batch in, the figures that tell a collapse out."""

import torch
from torch import Tensor

from espnet2.ssl.modules.codebook import perplexity
from espnet2.ssl.objective.base import Ratio


class CodeFigures:
    """Adds up the figures of the codebooks of one micro-batch; perplexities are of its masked frames."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask
        self.num_masked = mask.sum()
        self.sums: dict[str, list[Tensor]] = {}

    def add(self, layer: int, codes: Tensor, code_counts: Tensor, logits: Tensor) -> None:
        """One codebook: (batch, frames) codes, (codes,) masked frames of each, (batch, frames, codes) detached logits.

        (Not decorated with `no_grad`: the compiler cannot wrap the method of an object that is made in the graph.)
        """
        some = self.num_masked.clamp(min=1)
        shares = code_counts / some
        predicted = (logits.softmax(-1) * self.mask[..., None]).sum((0, 1)) / some
        figures = {
            "masked_accuracy": ((logits.argmax(-1) == codes) & self.mask).sum(),
            "code_perplexity": perplexity(shares),
            f"code_perplexity_layer{layer}": perplexity(shares),
            "prediction_perplexity": perplexity(predicted),
            "codes_used": (code_counts > 0).sum(),
            f"codes_used_layer{layer}": (code_counts > 0).sum(),
            "top_code_share": shares.max(),
        }
        for name, value in figures.items():
            self.sums.setdefault(name, []).append(value.float())

    def stats(self) -> dict[str, Ratio]:
        """Means over the codebooks."""
        means = {name: torch.stack(values).mean() for name, values in self.sums.items()}
        one = torch.ones_like(means["code_perplexity"])
        stats = {name: Ratio(mean, one) for name, mean in means.items()}
        stats["masked_accuracy"] = Ratio(means["masked_accuracy"], self.num_masked)
        return stats
