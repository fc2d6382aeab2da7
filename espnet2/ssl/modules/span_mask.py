"""HuBERT's draw: which spans of frames are hidden."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet2.data.batch import Draw, Draws
from espnet2.data.geometry import FrameGeometry
from espnet2.ssl.modules.masking import draw_span_mask, equalise_rows


@dataclass(frozen=True)
class HubertDraw(Draw):
    """`mask`: (batch, frames) bool, True where the encoder sees the mask embedding."""

    geometry: FrameGeometry
    mask_prob: float
    mask_span: int  # frames
    min_spans: int
    same_masks: bool

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        lengths = self.geometry.output_lengths(wav_lengths)
        mask = draw_span_mask(
            lengths,
            mask_prob=self.mask_prob,
            mask_span=self.mask_span,
            min_spans=self.min_spans,
            generator=generator,
        )
        return {"mask": equalise_rows(mask, lengths, generator) if self.same_masks else mask}

    def min_samples(self) -> int:
        return self.geometry.num_samples(2)  # one frame to hide, one to see
