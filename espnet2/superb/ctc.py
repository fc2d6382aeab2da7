"""Recognition (PR, ASR, SF): frames of a learned mix, a linear layer or LSTMs, CTC, greedy decoding, error rates."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.superb.audio import HeardSet, Hearing
from espnet2.superb.augment import SpecAugment
from espnet2.superb.base import DEV, TEST, TRAIN, Batch, Example, Order, Problem, require_audio, set_folder
from espnet2.superb.rules import Rules
from espnet2.text.ctc import BLANK_ID, UNKNOWN_ID, CtcTokens, TextRules, error_rates
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table
from espnet2.utils.show import first_names

MOST_UNKNOWN = 0.5  # share of the tokens of a set that training never saw: more is another alphabet
Score = Callable[[Sequence[str], Sequence[str]], dict[str, float]]  # references, hypotheses -> figures


def read_texts(data: Path, part: str, table: str = "text") -> tuple[Path, dict[str, str]]:
    """The folder and <data>/<part>/text, of the utterances of wav.scp.

    Raises:
        UserError: a table is missing, an utterance has no text, or a text no audio.
    """
    folder = set_folder(data, part, table)
    texts = read_table(folder / table)
    heard = [item.utt_id for item in HeardSet(folder, Hearing(), 0).items()]
    empty = [utt_id for utt_id in heard if not texts.get(utt_id, "").strip()]
    if empty:
        raise UserError(
            f"{folder}/{table}: no text of {first_names(empty, 3)}; take utterances without words out of all tables"
        )
    if not heard:
        raise UserError(f"{folder}/wav.scp is empty; prepare the corpus again (stage 1)")
    require_audio(folder, table, texts, heard)
    return folder, {utt_id: texts[utt_id] for utt_id in heard}


class CtcHead(nn.Module):
    """What reads symbols off frames: `forward` gets (batch, frames, dim) and lengths, and gives logits."""

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """(batch,) frames that go in -> frames that come out, on the host."""
        return lengths


class LinearHead(CtcHead):
    """Projection and output layer, frame by frame: s3prl's FrameLevel."""

    def __init__(self, dim: int, projection: int, num_symbols: int) -> None:
        super().__init__()
        self.projection, self.output = nn.Linear(dim, projection), nn.Linear(projection, num_symbols)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, dim), (batch,) -> (batch, frames, symbols) logits."""
        logits: Tensor = self.output(self.projection(features))
        return logits


class LstmHead(CtcHead):
    """Projection, bidirectional LSTMs with dropout behind each, output layer: s3prl's RNNs."""

    def __init__(
        self, dim: int, projection: int, num_symbols: int, *, num_layers: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.projection, self.dropout = nn.Linear(dim, projection), nn.Dropout(dropout)
        inputs = [projection, *[2 * width] * (num_layers - 1)]
        self.layers = nn.ModuleList(nn.LSTM(size, width, bidirectional=True, batch_first=True) for size in inputs)
        self.output = nn.Linear(2 * width, num_symbols)
        self.augment: SpecAugment | None = None

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """(batch, frames, dim), (batch,) on the host -> (batch, frames, symbols) logits."""
        x = features if self.augment is None or not self.training else self.augment(features, lengths)
        x = self.projection(x)
        for layer in self.layers:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, _ = nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True, total_length=features.size(1))
            x = self.dropout(x)
        logits: Tensor = self.output(x)
        return logits


class BucketOrder(Order):
    """A random utterance with its neighbours in the order of lengths: s3prl's buckets. Long ones come half as many."""

    def __init__(self, costs: Sequence[int], batch_size: int, seed: int, half_from: float) -> None:
        super().__init__(len(costs), batch_size, seed)
        self.sorted = sorted(range(len(costs)), key=lambda index: -costs[index])
        self.costs, self.half_from = costs, half_from
        self.starts = Order(len(costs), 1, seed)

    def batch(self, number: int) -> list[int]:
        start = min(self.starts.batch(number)[0], self.num_examples - self.batch_size)
        bucket = self.sorted[start : start + self.batch_size]
        is_long = self.costs[bucket[0]] > self.half_from and len(bucket) > 1
        return bucket[: len(bucket) // 2] if is_long else bucket


class CtcProblem(Problem[str]):
    """Texts to be read off the frames."""

    def __init__(
        self,
        name: str,
        sets: Mapping[str, tuple[Path, Mapping[str, str]]],
        tokens: CtcTokens,
        hearing: Hearing,
        sample_rate: int,
        rules: Rules,
        make: Callable[[int, int], nn.Module],
        score: Score,
    ) -> None:
        examples = {
            part: [
                Example(utt_id, HeardSet(folder, hearing, sample_rate), torch.from_numpy(tokens.encode(text)))
                for utt_id, text in texts.items()
            ]
            for part, (folder, texts) in sets.items()
        }
        super().__init__(name, examples[TRAIN], examples[DEV], examples[TEST])
        self.references = {part: texts for part, (_, texts) in sets.items()}
        self.tokens, self.rules, self._make, self._score = tokens, rules, make, score
        self.notes = tuple(_unknown_note(sets[part][0], examples[part]) for part in (DEV, TEST))
        self.notes = tuple(filter(None, self.notes))

    def order(self, rules: Rules, seed: int) -> Order:
        costs = [len(example.target) for example in self.train]
        return BucketOrder(costs, rules.batch_size, seed, half_from=float("inf"))

    def make_head(self, dim: int) -> nn.Module:
        return self._make(dim, len(self.tokens.symbols))

    def loss(self, head: nn.Module, batch: Batch) -> Tensor:
        """Mean over utterances of the loss per token, as torch.nn.CTCLoss has it; what cannot be spelt counts 0."""
        assert isinstance(head, CtcHead)
        frames = head.output_lengths(batch.lengths)
        log_probs = head(batch.features, batch.lengths).log_softmax(-1).transpose(0, 1)
        lengths = torch.tensor([len(target) for target in batch.targets])
        targets = torch.cat(batch.targets).to(log_probs.device)
        return F.ctc_loss(log_probs, targets, frames, lengths, BLANK_ID, "mean", True)

    def answer(self, head: nn.Module, batch: Batch) -> Sequence[str]:
        assert isinstance(head, CtcHead)
        lengths = head.output_lengths(batch.lengths).tolist()
        best = head(batch.features, batch.lengths).argmax(-1).cpu().tolist()
        return [self.tokens.decode(row[:length]) for row, length in zip(best, lengths, strict=True)]

    def score(self, part: str, answers: Mapping[str, str]) -> dict[str, float]:
        references = self.references[part]
        return self._score(list(references.values()), [answers[utt_id] for utt_id in references])


def _unknown_note(folder: Path, examples: Sequence[Example]) -> str:
    """What cannot be told right, in a sentence; "" where there is nothing.

    Raises:
        UserError: most of a set.
    """
    total = sum(len(example.target) for example in examples)
    unknown = sum(int((example.target == UNKNOWN_ID).sum()) for example in examples)
    if unknown > MOST_UNKNOWN * total:
        raise UserError(
            f"{folder}: {unknown:,} of {total:,} tokens are not in the training texts, such as those of "
            f"{examples[0].utt_id}: one of both is in another alphabet or case"
        )
    what = f"{folder.name}: {unknown:,} of {total:,} tokens are not in the training texts and always count as errors"
    return what if unknown else ""


def text_problem(
    name: str, data: Path, token_type: str, hearing: Hearing, sample_rate: int, rules: Rules,
    make: Callable[[int, int], nn.Module],
) -> CtcProblem:  # fmt: skip
    """Characters or phones of `text`; the token list is made of the training texts.

    Raises:
        UserError: as `read_texts`; or training texts of one token only.
    """
    sets = {part: read_texts(data, part) for part in (TRAIN, DEV, TEST)}
    token_rules = TextRules(token_type, is_plain=False)
    tokens = CtcTokens.of_texts(list(sets[TRAIN][1].values()), token_rules, Path("unused"))
    if len(tokens.symbols) < 4:
        raise UserError(f"{sets[TRAIN][0]}/text: one token only: nothing to tell apart")

    def score(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
        return error_rates(references, hypotheses, token_type)

    return CtcProblem(name, sets, tokens, hearing, sample_rate, rules, make, score)
