"""What the tracks of ML-SUPERB share: a linear layer, convolution at half the rate, a small transformer, CTC."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.superb.audio import Hearing
from espnet2.superb.augment import Masks, SpecAugment
from espnet2.superb.base import DEV, TEST, TRAIN, set_folder
from espnet2.superb.classes import NEED
from espnet2.superb.ctc import CtcHead, CtcProblem, read_texts
from espnet2.superb.rules import Rules
from espnet2.text.ctc import CtcTokens
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

KERNEL, STRIDE = 3, 2  # ESPnet's conv2d2: two convolutions, strides 2 and 1


class MlRules(Rules):
    """ESPnet, egs2/ml_superb/asr1/conf/tuning/train_asr_s3prl_10min.yaml."""

    updates: int = Field(75_000, gt=0, description="optimizer steps")  # 30 epochs of 10000 batches, 4 of them an update
    batch_size: int = Field(8, gt=0, description="utterances of one forward pass")
    accumulate: int = Field(4, gt=0, description="forward passes of one update")
    eval_every: int = Field(2500, gt=0, description="updates between two looks at dev, which chooses the checkpoint")
    projection: int = Field(80, gt=0, description="width of the linear layer in front of the head")
    width: int = Field(256, gt=0, description="of the transformer")
    num_heads: int = Field(8, gt=0, description="of attention")
    num_layers: int = Field(2, gt=0, description="of the transformer")
    ffn_width: int = Field(1024, gt=0, description="of the feed-forward layers")
    dropout: float = Field(0.1, ge=0, lt=1, description="of the transformer")
    specaugment: bool = Field(True, description="warp and mask the features of training")

    def head(self, dim: int, num_symbols: int) -> nn.Module:
        """For features of so many values."""
        return TransformerHead(dim, num_symbols, self)


class TransformerHead(CtcHead):
    """The downstream model of ML-SUPERB (Shi et al. 2023, section 3.3), on the projected mix."""

    def __init__(self, dim: int, num_symbols: int, rules: MlRules) -> None:
        super().__init__()
        self.projection = nn.Linear(dim, rules.projection)
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, rules.width, KERNEL, STRIDE),
            nn.ReLU(),
            nn.Conv2d(rules.width, rules.width, KERNEL, 1),
            nn.ReLU(),
        )
        rest = (rules.projection - KERNEL) // STRIDE + 1 - (KERNEL - 1)
        self.inner = nn.Linear(rules.width * rest, rules.width)
        layer = nn.TransformerEncoderLayer(
            rules.width, rules.num_heads, rules.ffn_width, rules.dropout, batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(rules.width)
        self.encoder = nn.TransformerEncoder(layer, rules.num_layers, norm, enable_nested_tensor=False)
        self.output = nn.Linear(rules.width, num_symbols)
        self.dropout = nn.Dropout(rules.dropout)
        # ESPnet's widths for 80 mel values: 2 masks of below 27 of them, 10 of below a twentieth of the frames.
        self.augment = SpecAugment(warp_window=5, frequency=Masks(2, 27), time=Masks(10, 0.05))
        self.is_augmented = rules.specaugment

    def output_lengths(self, lengths: Tensor) -> Tensor:
        return halved(lengths)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, dim), (batch,) on the host -> (batch, about half the frames, symbols)."""
        x = self.augment(features, lengths) if self.is_augmented and self.training else features
        x = self.projection(x)
        missing = (2 * KERNEL + 1) - x.size(1)
        x = F.pad(x, (0, 0, 0, max(0, missing)))
        y = self.convolutions(x[:, None])
        y = self.inner(y.transpose(1, 2).flatten(2))
        y = self.dropout(y * math.sqrt(y.size(2)) + _positions(y))
        valid = torch.arange(y.size(1), device=y.device) < halved(lengths).to(y.device)[:, None]
        y = self.encoder(y, src_key_padding_mask=~valid)
        logits: Tensor = self.output(y)
        return logits


def halved(lengths: Tensor) -> Tensor:
    """Frames behind both convolutions; at least one."""
    shortest = 2 * KERNEL + 1
    return ((lengths.clamp(min=shortest) - KERNEL) // STRIDE + 1 - (KERNEL - 1)).clamp(min=1)


def _positions(x: Tensor) -> Tensor:
    """(frames, dim) sines and cosines (Vaswani et al. 2017, section 3.5)."""
    _, count, dim = x.shape
    position = torch.arange(count, device=x.device, dtype=torch.float32)[:, None]
    rates = torch.exp(torch.arange(0, dim, 2, device=x.device) * (-math.log(10_000.0) / dim))
    return torch.stack([(position * rates).sin(), (position * rates).cos()], dim=2).flatten(1)


def languages_of(data: Path) -> list[Path]:
    """Folders of languages.

    Raises:
        UserError: there is none.
    """
    parts = (TRAIN, DEV, TEST)  # a language that lacks one of them is an error of its own, not left out
    inside = data.iterdir() if data.is_dir() else ()
    folders = sorted(path for path in inside if any((path / part).is_dir() for part in parts))
    if not folders:
        raise UserError(f"{data}: no folder <language>/train; prepare the corpus first (stage 1), see doc/superb.md")
    return folders


def language_problem(data: Path, hearing: Hearing, sample_rate: int, rules: MlRules) -> CtcProblem:
    """One token per language, as the whole text of an utterance.

    Raises:
        UserError: a table is missing, one language only, or one that train does not have.
    """
    sets = {part: read_texts(data, part, "utt2lang") for part in (TRAIN, DEV, TEST)}
    languages = sorted(set(sets[TRAIN][1].values()))
    if len(languages) < 2:
        raise UserError(f"{sets[TRAIN][0]}/utt2lang: one language only ({languages[0]}): nothing to tell apart")
    for part in (DEV, TEST):
        unknown = sorted(set(sets[part][1].values()) - set(languages))
        if unknown:
            raise UserError(
                f"{set_folder(data, part)}/utt2lang: {unknown[0]} is none of train's: no head could tell it"
            )
    tokens = CtcTokens(languages, str.split, "word")

    def score(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
        with needs(NEED):
            from sklearn.metrics import accuracy_score
        return {"acc": float(accuracy_score(list(references), list(hypotheses)))}

    return CtcProblem("", sets, tokens, hearing, sample_rate, rules, rules.head, score)
