"""The CTC objective of a fine-tuning: a new output layer on a trained encoder (Graves et al. 2006)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch, Draw, NoDraw
from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.objective.base import Context, Loss, Objective, Ratio, Term
from espnet2.text.ctc import BLANK_ID, count_token_errors, spelt

ENTRY = "ctc"
TUNED_PARTS = ("norm.", "projection.")  # of a frontend: they belong to the encoder's input, not to the features


@dataclass(frozen=True)
class Freezing:
    """How long parts of the model stay as they came; 0: not at all."""

    encoder_updates: int  # all but the output layer (wav2vec 2.0, section 4.3: 10,000)
    frontend_updates: int | None  # what makes the features; None: throughout, as in wav2vec 2.0 and HuBERT


class CtcObjective(Objective):
    """Fine-tuning: the last layer of a trained model spells the transcript.

    No file of espnet2/ssl/objective: its `batch.labels` are (batch, tokens) ids of transcripts, no frame labels.
    """

    needs_labels: ClassVar[bool] = True

    def __init__(self, origin: Objective, num_symbols: int, freezing: Freezing, dropout: float) -> None:
        """
        Args:
            origin: the objective that the model was trained with; it knows the way from waveforms to layers.
            num_symbols: blank (0) included.
        """
        frontend, encoder = origin.frontend, origin.encoder
        super().__init__(frontend, encoder, Context(ENTRY, frontend.geometry))
        self.origin = origin.requires_grad_(False)
        self.freezing = freezing
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(encoder.dim, num_symbols)
        if freezing.frontend_updates is None:
            for parameter in self._feature_parameters():
                parameter.requires_grad_(False)

    @property
    def draw(self) -> Draw:
        return NoDraw()

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Tokens of the transcripts."""
        return {ENTRY: (_tokens(batch) != NO_LABEL).sum().double()}

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(batch, frames, symbols) log probabilities in float32, (batch,) valid frames."""
        last = (self.encoder.num_layers,)
        hidden, lengths = self.origin.encode_whole(batch.wavs, batch.wav_lengths, last)
        scores: Tensor = self.output(self.dropout(hidden.output))
        return scores.float().log_softmax(-1), lengths

    def forward(self, batch: Batch) -> Loss:
        """Sum over the tokens; what has too few frames counts nothing. In validation the error rate, too."""
        log_probs, lengths = self.log_probs(batch)
        tokens = _tokens(batch)
        known = tokens != NO_LABEL
        targets = tokens.masked_fill(~known, BLANK_ID)
        total = F.ctc_loss(
            log_probs.transpose(0, 1), targets, lengths, known.sum(1), BLANK_ID, reduction="sum", zero_infinity=True
        )
        stats = {} if self.training else {"token_error_rate": _errors(log_probs, lengths, tokens, known)}
        return Loss((Term(ENTRY, total, known.sum()),), stats)

    def frozen_parameters(self, update: int) -> Iterable[nn.Parameter]:
        """See `Freezing`."""
        if update <= self.freezing.encoder_updates:
            return [*self.frontend.parameters(), *self.encoder.parameters()]
        limit = self.freezing.frontend_updates
        return self._feature_parameters() if limit is None or update <= limit else []

    def _feature_parameters(self) -> list[nn.Parameter]:
        """Of the frontend, below the projection to the encoder's width."""
        return [parameter for name, parameter in self.frontend.named_parameters() if not name.startswith(TUNED_PARTS)]


def _tokens(batch: Batch) -> Tensor:
    """(batch, tokens) ids."""
    if batch.labels is None:
        raise TypeError("a batch without transcripts")
    return batch.labels


def _errors(log_probs: Tensor, lengths: Tensor, labels: Tensor, known: Tensor) -> Ratio:
    """Token errors of the greedy transcripts, on the host."""
    best = log_probs.argmax(-1).cpu()
    heard = [spelt(row[:length].tolist()) for row, length in zip(best, lengths.tolist(), strict=True)]
    said = [row[is_token].tolist() for row, is_token in zip(labels.cpu(), known.cpu(), strict=True)]
    return Ratio(known.new_tensor(count_token_errors(said, heard), dtype=torch.float64), known.sum())
