"""Tokens of utterances in, the pieces that a unit language model reads in batches out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from espnet2.data.batch import Batch
from espnet2.data.dataset import TRAIN_STREAM, VALID_STREAM, Loaded, SpeechDataset
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import JoinedIndex
from espnet2.data.labels.packed import NO_LABEL
from espnet2.data.sampler import MicroBatch, Sampler, sequential_shards
from espnet2.train.data import StepPlan, TrainingData
from espnet2.unit_lm.config import UnitLmConfig
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, read_json
from espnet2.utils.kaldi_table import iterate_table


@dataclass(frozen=True)
class TokenSet:
    """The tokens of utterances, and how long they last."""

    name: str  # for messages
    utt_ids: tuple[str, ...]
    tokens: tuple[np.ndarray, ...]  # (tokens,) int64 of each utterance
    seconds: float  # of all of them together
    num_tokens: int  # of the language: ids are 0..num_tokens-1
    language: str  # a hash of what the ids mean: a model of one language reads no other

    @classmethod
    def read(cls, folder: str | Path) -> "TokenSet":
        """What `ssl_dump_labels` wrote: text, tokens.txt, durations.txt and labels.json.

        Raises:
            UserError: something is missing, or the files do not fit each other.
        """
        folder = Path(folder)
        about = read_json(folder / "labels.json") or {}
        try:
            rate = float(about["label_rate"])
            identity = [str(about[key]) for key in ("units_hash", "num_units", "deduplicated", "bpe")]
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{folder}/labels.json: no card of tokens; expected a folder of ssl_dump_labels --format text"
            ) from None
        symbols = _lines(folder / "tokens.txt")
        number_of = {symbol: number for number, symbol in enumerate(symbols)}
        utt_ids, tokens = [], []
        for line, (utt_id, text) in enumerate(iterate_table(folder / "text"), 1):
            try:
                tokens.append(np.array([number_of[word] for word in text.split()], dtype=np.int64))
            except KeyError as error:
                raise UserError(f"{folder}/text:{line}: {error.args[0]} is no line of {folder}/tokens.txt") from None
            utt_ids.append(utt_id)
        frames = 0
        for line, (utt_id, text) in enumerate(iterate_table(folder / "durations.txt"), 1):
            durations = text.split()
            if line > len(utt_ids) or utt_ids[line - 1] != utt_id or len(durations) != len(tokens[line - 1]):
                raise UserError(f"{folder}/durations.txt:{line}: {utt_id} does not fit text; run ssl_dump_labels again")
            frames += sum(map(int, durations))
        if not any(map(len, tokens)):
            raise UserError(f"{folder}/text: no tokens in it")
        return cls(
            str(folder), tuple(utt_ids), tuple(tokens), frames / rate, len(symbols), hash_bytes(*identity, *symbols)
        )

    @property
    def hash(self) -> str:
        return hash_bytes(self.language, *self.utt_ids, *(ids.tobytes() for ids in self.tokens))

    @property
    def total(self) -> int:
        return sum(map(len, self.tokens))

    @property
    def tokens_per_second(self) -> int:
        """Rounded, for the log; figures are made of `seconds`."""
        return max(1, round(self.total / max(self.seconds, 1e-9)))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; expected a folder of ssl_dump_labels") from None


def joined(sets: Sequence[TokenSet]) -> TokenSet:
    """Several sets of one language as one.

    Raises:
        UserError: they are of different units.
    """
    first = sets[0]
    for other in sets[1:]:
        if other.language != first.language:
            raise UserError(f"{other.name}: its tokens are other units than those of {first.name}")
    return TokenSet(
        ", ".join(part.name for part in sets),
        tuple(utt_id for part in sets for utt_id in part.utt_ids),
        tuple(ids for part in sets for ids in part.tokens),
        sum(part.seconds for part in sets),
        first.num_tokens,
        first.language,
    )


@dataclass(frozen=True)
class Pieces:
    """Utterances with a begin and an end symbol, cut into pieces that fit the model. A piece begins with the symbol."""

    rows: tuple[np.ndarray, ...]  # (1 + predicted tokens,) ids
    utterances: np.ndarray  # (pieces,) which utterance
    utt_ids: tuple[str, ...]

    @classmethod
    def of(cls, tokens: TokenSet, max_tokens: int) -> "Pieces":
        rows, owners = [], []
        edge = np.array([tokens.num_tokens])
        for number, ids in enumerate(tokens.tokens):
            if len(ids) == 0:
                continue
            whole = np.append(ids, edge)
            for first in range(0, len(whole), max_tokens):
                rows.append(np.concatenate([edge, whole[first : first + max_tokens]]))
                owners.append(number)
        return cls(tuple(rows), np.array(owners, dtype=np.int64), tokens.utt_ids)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(pieces,) tokens that are predicted."""
        return np.array([len(row) - 1 for row in self.rows], dtype=np.int64)

    def labels(self, rows: Iterable[int]) -> torch.Tensor:
        """(batch, 1 + tokens) ids, NO_LABEL behind the end."""
        picked = [torch.from_numpy(self.rows[row]) for row in rows]
        return torch.nn.utils.rnn.pad_sequence(picked, batch_first=True, padding_value=NO_LABEL)


class PieceIndex(JoinedIndex):
    """Pieces with the interface that the engine knows sets of audio by: a sample is a token."""

    def __init__(self, pieces: Pieces, name: str, tokens_per_second: int, data_hash: str) -> None:
        self.parts, self.names = [], [name]
        self.sample_rate, self.hash, self.languages = tokens_per_second, data_hash, []
        self.pieces = pieces
        self.total_samples = int(pieces.lengths.sum())
        self.starts = np.array([0, len(pieces.rows)])

    def __reduce__(self) -> tuple[type["PieceIndex"], tuple[Pieces, str, int, str]]:  # type: ignore[override]
        return PieceIndex, (self.pieces, self.names[0], self.sample_rate, self.hash)

    def utt_id(self, row: int) -> str:
        return self.pieces.utt_ids[self.pieces.utterances[row]]

    @cached_property
    def num_samples(self) -> np.ndarray:
        return self.pieces.lengths


@dataclass(frozen=True)
class TokenDataset(SpeechDataset):
    """Batches of pieces: `labels` as `UnitLm` reads them, and no audio."""

    pieces: Pieces = field(default=Pieces((), np.zeros(0, np.int64), ()))

    def __getitem__(self, item: MicroBatch) -> Loaded:
        rows = item.rows.tolist()
        lengths = torch.from_numpy(self.pieces.lengths[item.rows])
        utt_ids = tuple(self.index.utt_id(row) for row in rows)
        batch = Batch(torch.zeros(len(rows), 0), lengths, self.pieces.labels(rows), utt_ids, {}, is_padded=True)
        return Loaded(batch, item.number, int(lengths.sum()))


def make_token_data(config: UnitLmConfig, train: TokenSet, valid: TokenSet, steps: StepPlan) -> TrainingData:
    """What the trainer needs.

    Raises:
        UserError: the valid set is of other units.
    """
    if valid.language != train.language:
        raise UserError(f"{valid.name}: its tokens are other units than those of {train.name}")
    datasets = []
    for tokens in (train, valid):
        pieces = Pieces.of(tokens, config.max_tokens)
        index = PieceIndex(pieces, tokens.name, train.tokens_per_second, tokens.hash)
        geometry = FrameGeometry(((1, 1),), train.tokens_per_second)
        stream = TRAIN_STREAM if tokens is train else VALID_STREAM
        datasets.append(TokenDataset(index, None, {}, geometry, "none", config.seed, stream, pieces=pieces))
    sampler = Sampler(
        datasets[0].pieces.lengths, shard_samples=steps.shard_samples, max_samples=config.max_tokens, seed=config.seed
    )
    shards = sequential_shards(datasets[1].pieces.lengths, config.valid_batch_bins or config.batch_bins)
    return TrainingData(datasets[0], sampler, datasets[1], shards)
