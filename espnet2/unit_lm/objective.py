"""The next token from those before it: cross-entropy over the tokens of an utterance and its end."""

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.data.batch import Batch, Draw, Draws
from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import Context, Loss, Objective, Ratio, Term
from espnet2.unit_lm.config import UnitLmConfig
from espnet2.unit_lm.decoder import INIT_STD, Decoder, TokenFrontend

ENTRY = "unit_lm"


class NoDraw(Draw):
    """Nothing is random but dropout."""

    def __call__(self, wav_lengths: Tensor, utt_ids: Sequence[str], generator: torch.Generator) -> Draws:
        return {}


class UnitLm(Objective):
    """A language model of units (Lakhotia et al. 2021, GSLM, section 3.2).

    `batch.labels` are (batch, 1 + tokens) ids: the begin symbol, the tokens, the end symbol where the utterance ends,
    NO_LABEL behind it. Begin and end share an id, the one behind those of the tokens.
    """

    needs_labels: ClassVar[bool] = True

    def __init__(self, frontend: TokenFrontend, decoder: Decoder, num_tokens: int, dropout: float) -> None:
        super().__init__(frontend, decoder, Context(ENTRY, frontend.geometry, num_tokens))
        self.embedding = nn.Embedding(num_tokens + 1, decoder.dim)
        nn.init.normal_(self.embedding.weight, std=INIT_STD)
        self.dropout = nn.Dropout(dropout)

    @property
    def draw(self) -> Draw:
        return NoDraw()

    def counts(self, batch: Batch) -> dict[str, Tensor]:
        """Tokens that are predicted."""
        return {ENTRY: (batch.labels_of("")[:, 1:] != NO_LABEL).sum().double()}

    def log_probs(self, labels: Tensor) -> Tensor:
        """(batch, 1 + tokens) ids -> (batch, tokens) natural logarithms of what the model gave to each; 0 behind."""
        targets = labels[:, 1:]
        known = labels[:, :-1].clamp(min=0)
        hidden = self.encoder(self.dropout(self.embedding(known)), None).output
        scores = F.linear(hidden, self.embedding.weight)  # tied: Press and Wolf 2017
        nats = F.cross_entropy(scores.float().transpose(1, 2), targets, ignore_index=NO_LABEL, reduction="none")
        return -nats

    def forward(self, batch: Batch) -> Loss:
        """Sum over tokens; the figure is in bits."""
        labels = batch.labels_of("")
        total = -self.log_probs(labels).sum()
        count = (labels[:, 1:] != NO_LABEL).sum()
        bits = Ratio(total.detach() / math.log(2), count)
        return Loss((Term(ENTRY, total, count),), {"bits_per_token": bits})


def build_unit_lm(config: UnitLmConfig, num_tokens: int, tokens_per_second: int) -> SSLModel:
    """A model with random weights."""
    decoder = Decoder(config.decoder_conf)
    frontend = TokenFrontend(tokens_per_second, decoder.dim)
    objective = UnitLm(frontend, decoder, num_tokens, config.decoder_conf.dropout)
    return SSLModel(frontend, decoder, {ENTRY: objective}, {ENTRY: 1.0})
