"""The CTC probe: a small recogniser on a learned mix of frozen layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet2.evaluate.probes.linear import MIX_RATE, LayerMix
from espnet2.text.ctc import BLANK_ID

WIDTH = 128  # of the projection and of each direction of the LSTM: SUPERB's has 1024, for 100 h of speech
PASSES = 20  # over the training utterances; the rate falls to 0, so no checkpoint is chosen on the test set
LEARNING_RATE = 3e-3  # Adam's
LINEAR_RATE = 0.05  # of an output layer alone, whose features have unit variance
BATCH_FRAMES = 3000  # of a batch, padding included
DROPOUT = 0.2  # of the input of the LSTM and of the output layer
GRADIENT_NORM = 5.0  # largest


class SpokenSet(NamedTuple):
    """Utterances as a recogniser sees them."""

    features: Tensor  # (layers, all frames, dim) standardised
    frame_counts: tuple[int, ...]  # of each utterance
    targets: tuple[Tensor, ...]  # (tokens,) int64 of each; () where only decoding is wanted

    def batches(self, generator: torch.Generator | None = None) -> Iterator["SpokenBatch"]:
        """Utterances of similar length together, each once; in random order if there is a generator."""
        starts = torch.tensor([0, *self.frame_counts]).cumsum(0).tolist()
        batches = [part for part in _grouped(self.frame_counts) if part]
        order = range(len(batches)) if generator is None else torch.randperm(len(batches), generator=generator).tolist()
        for number in order:
            members = batches[number]
            parts = [self.features[:, starts[member] : starts[member + 1]].transpose(0, 1) for member in members]
            padded = nn.utils.rnn.pad_sequence(parts, batch_first=True)
            lengths = torch.tensor([self.frame_counts[member] for member in members])
            yield SpokenBatch(members, padded.permute(2, 0, 1, 3), lengths)


class SpokenBatch(NamedTuple):
    """A few utterances, padded."""

    members: list[int]  # which utterances of the set
    features: Tensor  # (layers, batch, frames, dim)
    lengths: Tensor  # (batch,) frames, on the host


def _grouped(frame_counts: Sequence[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for utterance in sorted(range(len(frame_counts)), key=lambda utterance: frame_counts[utterance]):
        if batch and (len(batch) + 1) * frame_counts[utterance] > BATCH_FRAMES:
            yield batch
            batch = []
        batch.append(utterance)
    yield batch


class CtcProbe(nn.Module):
    """Mix, projection, one bidirectional LSTM (or, linear, none), output layer."""

    def __init__(self, num_layers: int, dim: int, num_symbols: int, *, linear: bool = False) -> None:
        super().__init__()
        self.mix = LayerMix(num_layers)
        self.dropout = nn.Dropout(0.0 if linear else DROPOUT)
        self.projection = nn.Identity() if linear else nn.Linear(dim, WIDTH)
        self.lstm = None if linear else nn.LSTM(WIDTH, WIDTH, bidirectional=True, batch_first=True)
        self.output = nn.Linear(dim if linear else 2 * WIDTH, num_symbols)

    def forward(self, layers: Tensor, lengths: Tensor) -> Tensor:
        """(layers, batch, frames, dim), (batch,) frames on the host -> (batch, frames, symbols) log probabilities."""
        x = self.dropout(self.projection(self.mix(layers)))
        if self.lstm is not None:
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x, _ = nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.size(1))
            x = self.dropout(x)
        log_probs: Tensor = self.output(x).log_softmax(-1)
        return log_probs


@dataclass(frozen=True)
class CtcResult:
    """What a recogniser heard."""

    best: tuple[tuple[int, ...], ...]  # of each test utterance: the most likely symbol of each frame
    layer_weights: tuple[float, ...]


def fit_ctc(
    train: SpokenSet,
    test: SpokenSet,
    num_symbols: int,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    linear: bool = False,
    passes: int = PASSES,
) -> CtcResult:
    """Learn on one set, decode the other greedily; on a CPU the same seed gives the same result.

    Args:
        train: its targets fit their frames (see `frames_needed`).
        num_symbols: blank (0) included.
        linear: without the LSTM: only what single frames say.
    """
    generator = torch.Generator().manual_seed(seed)
    num_layers, _, dim = train.features.shape
    with torch.random.fork_rng(devices=[] if str(device) == "cpu" else None):
        torch.manual_seed(seed)
        probe = CtcProbe(num_layers, dim, num_symbols, linear=linear).to(device)
        rate = LINEAR_RATE if linear else LEARNING_RATE
        mixing = {id(parameter) for parameter in probe.mix.parameters()}
        groups = [
            {"params": [parameter for parameter in probe.parameters() if id(parameter) not in mixing], "rate": rate},
            {"params": list(probe.mix.parameters()), "rate": MIX_RATE},
        ]
        optimizer = torch.optim.Adam(groups)
        for done in range(passes):
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * (1 - done / passes)
            for batch in train.batches(generator):
                optimizer.zero_grad()
                _loss(probe, train, batch, device).backward()
                nn.utils.clip_grad_norm_(probe.parameters(), GRADIENT_NORM)
                optimizer.step()
        return CtcResult(_decode(probe, test, device), tuple(probe.mix.weights.tolist()))


def _loss(probe: CtcProbe, train: SpokenSet, batch: SpokenBatch, device: torch.device | str) -> Tensor:
    """Per token, so that short and long utterances count alike."""
    targets = [train.targets[member] for member in batch.members]
    log_probs = probe(batch.features.to(device), batch.lengths)
    lengths = torch.tensor([len(target) for target in targets])
    total = F.ctc_loss(
        log_probs.transpose(0, 1), torch.cat(targets).to(device), batch.lengths, lengths, BLANK_ID, "sum", True
    )
    return total / lengths.sum()


@torch.no_grad()
def _decode(probe: CtcProbe, test: SpokenSet, device: torch.device | str) -> tuple[tuple[int, ...], ...]:
    probe.eval()
    heard: list[tuple[int, ...]] = [()] * len(test.frame_counts)
    for batch in test.batches():
        best = probe(batch.features.to(device), batch.lengths).argmax(-1).cpu()
        for row, member in enumerate(batch.members):
            heard[member] = tuple(best[row, : test.frame_counts[member]].tolist())
    return tuple(heard)
