"""The run of `ssl_unit_lm`, from its checks to exp/<name> with the model and its bits per second."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import torch
from safetensors.torch import load_file, save

from espnet2.launch.signals import StopSignals
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import count_parameters
from espnet2.train.data import plan_steps
from espnet2.train.distributed import Ranks
from espnet2.train.prepared_run import PreparedRun, finish_run
from espnet2.train.run import default_threads, seed_all, total_updates
from espnet2.train.state import TrainState
from espnet2.unit_lm.config import UnitLmConfig
from espnet2.unit_lm.data import Pieces, TokenSet, make_token_data
from espnet2.unit_lm.objective import UnitLm, build_unit_lm
from espnet2.utils.clock import format_seconds
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, read_json, write_json

CARD, WEIGHTS, RESULT = "unit_lm.json", "model.safetensors", "result.json"


class FiguresJson(TypedDict):
    """What a model gives to the tokens of a set."""

    bits_per_second: float  # of audio: comparable between units of any rate and number
    bits_per_token: float  # the end of an utterance is a token
    perplexity: float  # 2 ^ bits_per_token: of one language only
    tokens_per_second: float
    num_tokens: int
    seconds: float


class CardJson(TypedDict):
    """What is needed to build the model again."""

    config: dict[str, object]
    num_tokens: int
    tokens_per_second: int
    language: str


@dataclass(frozen=True, kw_only=True)
class UnitLmRun(PreparedRun):
    """A training of `ssl_unit_lm`, which the same command goes on with."""

    config: UnitLmConfig
    train: TokenSet
    valid: TokenSet
    device: torch.device

    def begin(self, update: int) -> None:
        card: CardJson = {
            "config": self.config.model_dump(mode="json"),
            "num_tokens": self.train.num_tokens,
            "tokens_per_second": self.train.tokens_per_second,
            "language": self.train.language,
        }
        write_json(self.directory / CARD, card)

    def describe(self) -> list[str]:
        return [
            f"unit language model: {count_parameters(self.model):,} parameters, {self.train.num_tokens:,} tokens in "
            "the language, a 'sample' of the log is a token",
            *(
                f"{name}: {tokens.total:,} tokens of {len(tokens.tokens):,} utterances, {tokens.seconds / 60:.1f} "
                f"minutes, {tokens.total / max(tokens.seconds, 1e-9):.1f} tokens per second"
                for name, tokens in (("train", self.train), ("valid", self.valid))
            ),
        ]

    def describe_stop(self, update: int, seconds: float) -> str:
        return f"saved at update {update}; the same command goes on"

    def finish(self, state: TrainState) -> str:
        """Write the weights and what they give to the valid set."""
        weights = {name: value.detach().cpu().contiguous() for name, value in self.model.state_dict().items()}
        with atomic_write(self.directory / WEIGHTS, "wb") as stream:
            stream.write(save(weights, {"format": "pt"}))
        figures = measure(self.model, self.valid, self.config, self.device)
        write_json(self.directory / RESULT, {**figures, "updates": state.update, "valid": self.valid.name})
        return (
            f"done in {format_seconds(state.train_seconds)}: {figures['bits_per_second']:.2f} bits per second, "
            f"perplexity {figures['perplexity']:.2f} of {figures['num_tokens']:,} tokens ({self.directory}/{RESULT})"
        )


def train_unit_lm(
    config: UnitLmConfig, train: TokenSet, valid: TokenSet, output_dir: Path, ranks: Ranks, stop: StopSignals
) -> bool:
    """Train, or go on training; True when the run is complete and its result is there.

    The last weights are the model: none are chosen on the valid set, whose figures are reported.

    Raises:
        UserError: the sets are of different units, or what is in the folder is another run.
    """
    torch.set_num_threads(config.num_threads or default_threads(ranks))
    seed_all(config.seed)
    steps = plan_steps(config, ranks.world_size)
    data = make_token_data(config, train, valid, steps)
    model = build_unit_lm(config, train.num_tokens, train.tokens_per_second).to(ranks.device)
    run = UnitLmRun(
        config=config,
        model=model,
        data=data,
        steps=steps,
        max_update=total_updates(config, data.sampler, steps),
        hashes={"train": train.hash, "valid": valid.hash},
        directory=output_dir,
        train=train,
        valid=valid,
        device=ranks.device,
    )
    return finish_run(run, ranks, stop)


@torch.no_grad()
def log_probs_of(model: SSLModel, tokens: TokenSet, config: UnitLmConfig, device: torch.device) -> list[float]:
    """The natural logarithm of what the model gives to each utterance, its end included; 0 to one without tokens.

    A piece of a long utterance is read without those before it.
    """
    pieces = Pieces.of(tokens, config.max_tokens)
    objective = cast(UnitLm, model.first)
    totals = [0.0] * len(tokens.tokens)
    order = sorted(range(len(pieces.rows)), key=lambda row: int(pieces.lengths[row]))
    model.eval()
    together = max(1, (config.valid_batch_bins or config.batch_bins) // config.max_tokens)
    for first in range(0, len(order), together):
        rows = order[first : first + together]
        sums = objective.log_probs(pieces.labels(rows).to(device)).double().sum(1).tolist()
        for row, value in zip(rows, sums, strict=True):
            totals[int(pieces.utterances[row])] += value
    model.train()
    return totals


def measure(model: SSLModel, tokens: TokenSet, config: UnitLmConfig, device: torch.device) -> FiguresJson:
    """Bits per second of audio, and the figures that only models of the same units share."""
    bits = -sum(log_probs_of(model, tokens, config, device)) / math.log(2)
    predicted = tokens.total + sum(len(ids) > 0 for ids in tokens.tokens)
    return {
        "bits_per_second": bits / tokens.seconds,
        "bits_per_token": bits / predicted,
        "perplexity": 2 ** (bits / predicted),
        "tokens_per_second": tokens.total / tokens.seconds,
        "num_tokens": predicted,
        "seconds": tokens.seconds,
    }


@dataclass(frozen=True)
class OpenedUnitLm:
    """A trained model."""

    model: SSLModel
    config: UnitLmConfig
    language: str
    device: torch.device

    @classmethod
    def open(cls, folder: Path, device: str = "cpu") -> "OpenedUnitLm":
        """Read exp/<name> of `ssl_unit_lm`.

        Raises:
            UserError: there is none, or its training has not ended.
        """
        card = read_json(folder / CARD)
        if card is None:
            raise UserError(f"{folder}: no unit language model ({CARD} is missing); train one with ssl_unit_lm")
        if not (folder / WEIGHTS).is_file():
            raise UserError(f"{folder}: the training has not ended ({WEIGHTS} is missing); run ssl_unit_lm again")
        config = parse_config(UnitLmConfig, card["config"], str(folder / CARD))
        model = build_unit_lm(config, int(card["num_tokens"]), int(card["tokens_per_second"]))
        model.load_state_dict(load_file(folder / WEIGHTS))
        return cls(model.to(device), config, str(card["language"]), torch.device(device))

    def scores(self, tokens: TokenSet, *, normalize: bool) -> dict[str, float]:
        """Utterance -> log probability, or of one token where `normalize`.

        Raises:
            UserError: the tokens are other units than those of the model.
        """
        if tokens.language != self.language:
            raise UserError(
                f"{tokens.name}: other units than the language model was trained on; dump them with the same k-means, "
                "--deduplicate and --bpe_model"
            )
        totals = log_probs_of(self.model, tokens, self.config, self.device)
        lengths: Sequence[int] = [len(ids) + 1 if normalize else 1 for ids in tokens.tokens]
        return {utt_id: total / length for utt_id, total, length in zip(tokens.utt_ids, totals, lengths, strict=True)}


def untrained_bits(tokens: TokenSet) -> float:
    """Bits per second of a model that gives every token the same: what learning starts from."""
    predicted = tokens.total + sum(len(ids) > 0 for ids in tokens.tokens)
    return predicted * math.log2(tokens.num_tokens + 1) / tokens.seconds
