"""WavLM: HuBERT on mixed audio with gated relative positions (Chen et al., 2022, arXiv 2110.13900, section III)."""

import torch
from torch import Tensor

from espnet2.data.batch import Batch
from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.encoder.base import Encoder
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.modules.gated_relative import PositionGate
from espnet2.ssl.modules.lengths import valid_frames
from espnet2.ssl.objective.base import Context, Ratio
from espnet2.ssl.objective.hubert import Hubert, HubertConfig, accuracy
from espnet2.utils.errors import UserError


class WavLMConfig(HubertConfig):
    """`conf` of `name: wavlm`; the defaults are WavLM Base. What is mixed in says `augment: mixing` of the config."""


class WavLM(Hubert):
    """Masked prediction of the main speaker's labels, where another voice or a noise may lie over the clip.

    Loss, masks and labels are HuBERT's. The loader mixes (section III-B); the encoder has the gates (III-A).
    """

    Config = WavLMConfig

    def __init__(self, config: WavLMConfig, frontend: Frontend, encoder: Encoder, context: Context) -> None:
        super().__init__(config, frontend, encoder, context)
        if not self._gates():
            raise UserError(
                f"loss ({context.entry}): WavLM needs gated relative positions; "
                "set encoder_conf: attention_position to gated_relative, or train `name: hubert`"
            )

    def _gates(self) -> list[PositionGate]:
        """The gates of the shared encoder, one per layer."""
        return [module for module in self.encoder.modules() if isinstance(module, PositionGate)]

    def figures(self, batch: Batch, prediction: Tensor, masked: Tensor, unmasked: Tensor) -> dict[str, Ratio]:
        """HuBERT's, the mean gate, and the masked accuracy of clean and of mixed clips where mixing is on."""
        figures = super().figures(batch, prediction, masked, unmasked) | {"position_gate": self._mean_gate(batch)}
        if batch.mixed is not None:
            mixed = batch.mixed.view(-1, *(1,) * (masked.dim() - 1))
            figures["clean_masked_accuracy"] = accuracy(prediction, masked.masked_fill(mixed, NO_LABEL))
            figures["mixed_masked_accuracy"] = accuracy(prediction, masked.masked_fill(~mixed, NO_LABEL))
        return figures

    def _mean_gate(self, batch: Batch) -> Ratio:
        """What the position biases were multiplied with, over layers, heads and valid frames; 1.75 for silent gates."""
        lasts = [gate.last for gate in self._gates() if gate.last is not None]
        if not lasts:  # layerdrop left all blocks out
            return Ratio(batch.wavs.new_zeros(()), batch.wavs.new_zeros(()))
        gates = torch.stack(lasts).mean(0)  # (batch, frames)
        lengths = self.context.geometry.output_lengths(batch.wav_lengths)
        valid = valid_frames(lengths, gates.size(1))
        if valid is None:
            return Ratio(gates.sum(), torch.full_like(gates, 1.0).sum())
        return Ratio((gates * valid).sum(), valid.sum())
