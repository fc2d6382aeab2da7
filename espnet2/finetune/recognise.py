"""A tuned model and transcribed sets in, what it hears as tables and its error rates with their intervals out."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import torch

from espnet2.data.loader import iterate_batches
from espnet2.finetune.beam import BeamDecoder
from espnet2.finetune.ctc_objective import CtcObjective
from espnet2.finetune.data import Targets, Texts, TranscribedDataset, shards_of
from espnet2.ssl.model import SSLModel
from espnet2.text.confidence import PERCENTILES, error_intervals
from espnet2.text.ctc import CtcTokens, error_rates
from espnet2.utils.kaldi_table import write_table

RATES = {"wer": "word", "cer": "character", "per": "phone"}
GREEDY, BEAM = "hyp", "hyp_beam"  # tables of what was heard


class RatesJson(TypedDict, total=False):
    """Error rates of one way to decode: of words and characters, or of phones; each with its 95 % interval."""

    wer: float
    wer_interval: tuple[float, float]
    cer: float
    cer_interval: tuple[float, float]
    per: float
    per_interval: tuple[float, float]


@dataclass(frozen=True)
class Recognised:
    """The error rates of some sets."""

    num_utterances: int
    greedy: RatesJson
    beam: RatesJson | None  # None where there was no beam search


@torch.no_grad()
def recognise(
    model: SSLModel,
    dataset: TranscribedDataset,
    texts: Texts,
    tokens: CtcTokens,
    beam: BeamDecoder | None,
    *,
    device: torch.device,
    longest_batch: int,
    folder: Path,
) -> Recognised:
    """Decode whole sets. Utterances that training could not use count, too.

    Args:
        dataset: of any set of that model; it says how audio is read.
        texts: the sets to decode.
        longest_batch: samples, padding included.
        folder: gets `ref`, `hyp` and, of a beam search, `hyp_beam`.
    """
    dataset = replace(dataset, index=texts.index, targets=Targets(tuple(tokens.encode(text) for text in texts.texts)))
    rows = np.array([row for row, text in enumerate(texts.texts) if text])
    lengths = np.asarray(texts.index.num_samples)
    rows = rows[dataset.geometry.output_lengths(lengths[rows]) > 0]
    shards = shards_of(lengths, rows, longest_batch)
    heard: dict[str, dict[int, str]] = {GREEDY: {}, **({BEAM: {}} if beam else {})}
    objective = cast(CtcObjective, model.first)
    model.eval()
    with closing(iterate_batches(dataset, shards, num_workers=0)) as batches:
        for item, loaded in zip(shards, batches, strict=True):
            log_probs, frames = objective.log_probs(loaded.batch.to(device))
            log_probs, frames = log_probs.cpu(), frames.cpu()
            for row, best, count in zip(item.rows.tolist(), log_probs.argmax(-1), frames.tolist(), strict=True):
                heard[GREEDY][row] = tokens.decode(best[:count].tolist())
            if beam is not None:
                heard[BEAM].update(zip(item.rows.tolist(), beam(log_probs, frames), strict=True))
    order = sorted(heard[GREEDY])
    for name, table in {**heard, "ref": dict(enumerate(texts.texts))}.items():
        write_table(folder / name, ((texts.index.utt_id(row), table[row]) for row in order))
    references = [texts.texts[row] for row in order]
    rates = {
        name: _rates(references, [table[row] for row in order], tokens.token_type) for name, table in heard.items()
    }
    return Recognised(len(order), rates[GREEDY], rates.get(BEAM))


def _rates(references: list[str], hypotheses: list[str], token_type: str) -> RatesJson:
    intervals = error_intervals(references, hypotheses, token_type)
    values: dict[str, float | tuple[float, float]] = {}
    for name, rate in error_rates(references, hypotheses, token_type).items():
        values |= {name: rate, f"{name}_interval": intervals[name]}
    return cast(RatesJson, values)


def describe_rates(rates: RatesJson) -> str:
    """The rates in words.

    >>> describe_rates({"per": 0.25, "per_interval": (0.2, 0.3)})
    'phone 25.0 % (95 %: 20.0 to 30.0)'
    """
    values = cast("dict[str, float]", rates)
    intervals = cast("dict[str, tuple[float, float]]", rates)
    share = PERCENTILES[1] - PERCENTILES[0]
    parts = []
    for key, word in RATES.items():
        if key in rates:
            low, high = intervals[f"{key}_interval"]
            parts.append(f"{word} {100 * values[key]:.1f} % ({share:g} %: {100 * low:.1f} to {100 * high:.1f})")
    return ", ".join(parts)
