"""The order of training: `sampling:` and the sizes of batches in, the sampler out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from espnet2.data.containers import storage_blocks
from espnet2.data.index import JoinedIndex
from espnet2.data.mixture import Sampling, Weights
from espnet2.data.sampler import Sampler
from espnet2.data.set_names import sets_by_name, unknown_name
from espnet2.data.shard_buffer import ShardBuffer
from espnet2.train.config import TrainConfig
from espnet2.train.data import StepPlan
from espnet2.train.sampling_config import SamplingConfig, ScheduledWeights
from espnet2.utils.errors import UserError


def make_sampler(
    config: TrainConfig,
    index: JoinedIndex,
    lengths: NDArray[np.integer],
    steps: StepPlan,
    *,
    max_samples: int,
    min_samples: int = 1,
    hop_samples: int,
) -> Sampler:
    """The order of a training.

    Args:
        lengths: (rows of the index,) samples that count; a row below `min_samples` is left out.

    Raises:
        UserError: see `make_sampling`; a buffer that is smaller than a batch.
    """
    sampling = config.sampling
    buffer = None
    if sampling.shuffle == "shards":
        buffer = ShardBuffer(storage_blocks(index, sampling.max_block), sampling.buffer_utterances)
    sampler = Sampler(
        lengths,
        shard_samples=steps.shard_samples,
        max_samples=max_samples,
        min_samples=min_samples,
        crop=config.crop,
        hop_samples=hop_samples,
        seed=config.seed,
        sampling=make_sampling(sampling, index),
        quadratic_samples=quadratic_samples(config, index.sample_rate),
        buffer=buffer,
        even_group=steps.micro_batches if sampling.even else None,
    )
    if buffer:
        _check_buffer(buffer.num_utterances, sampler, steps)
    return sampler


def _check_buffer(num_utterances: int, sampler: Sampler, steps: StepPlan) -> None:
    needed = sampler.mean_shard() * steps.micro_batches
    if num_utterances < min(needed, len(sampler.rows)):
        raise UserError(
            f"sampling: buffer_utterances {num_utterances} is smaller than the batch of an update, about "
            f"{needed:.0f} utterances; make it several times larger, or batch_bins smaller"
        )


def quadratic_samples(config: TrainConfig, sample_rate: int) -> int | None:
    """`quadratic_seconds` in samples."""
    return None if config.quadratic_seconds is None else max(1, round(config.quadratic_seconds * sample_rate))


def make_sampling(sampling: SamplingConfig, index: JoinedIndex) -> Sampling | None:
    """The groups that sampling weights distinguish; None where every utterance is seen once per pass.

    Raises:
        UserError: weights are asked for, but there is one group only, or none of a name, or nothing is left.
    """
    stages: list[tuple[int, SamplingConfig | ScheduledWeights]] = [(0, sampling)]
    stages += [(stage.from_epoch, stage) for stage in sampling.stages()]
    if all(stage.alpha == stage.lang_alpha == 1.0 and not stage.weights for _, stage in stages):
        return None
    groups, names, set_of_group = _groups(sampling.by, index)
    if len(names) == 1:
        by_set, by_lang = "name several train sets", "write data/<set>/utt2lang and run stages 3 to 6"
        remedy = by_set if sampling.by == "set" else by_lang
        asked = f"alpha {sampling.alpha:g} weighs" if sampling.alpha != 1.0 else "weights are of"
        raise UserError(
            f"sampling: {asked} groups by {sampling.by}, but there is only {names[0]}; {remedy}, or leave sampling out"
        )
    weights = tuple(_weights(stage, sampling.by, index, names, set_of_group) for _, stage in stages)
    return Sampling(groups, weights, tuple(epoch for epoch, _ in stages), sampling.change, set_of_group)


def _groups(by: str, index: JoinedIndex) -> tuple[NDArray[np.integer], list[str], NDArray[np.integer] | None]:
    """((rows,) group of each, names of groups, (groups,) set of each where there are two levels)."""
    if by == "set":
        return index.set_ids, index.names, None
    if by == "lang":
        return index.lang_ids, index.languages, None
    num_languages = len(index.languages)
    pairs = index.set_ids.astype(np.int64) * num_languages + index.lang_ids
    present, groups = np.unique(pairs, return_inverse=True)
    names = [f"{index.names[pair // num_languages]}/{index.languages[pair % num_languages]}" for pair in present]
    return groups.astype(np.int32), names, present // num_languages


def _weights(
    stage: SamplingConfig | ScheduledWeights,
    by: str,
    index: JoinedIndex,
    names: Sequence[str],
    set_of_group: NDArray[np.integer] | None,
) -> Weights:
    alpha = 1.0 if stage.alpha is None else stage.alpha
    inner = 1.0 if stage.lang_alpha is None else stage.lang_alpha
    if not stage.weights:
        return Weights(alpha, inner)
    known = {} if by == "lang" else sets_by_name(index)
    languages = {} if by == "set" else {language: number for number, language in enumerate(index.languages)}
    factors, set_factors = np.ones(len(names)), np.ones(len(index.names))
    for name, factor in stage.weights.items():
        if name in known:
            (factors if set_of_group is None else set_factors)[known[name]] = factor
        elif name in languages:
            factors[[group for group, full in enumerate(names) if full.rpartition("/")[2] == name]] = factor
        else:
            kind = {"set": "set", "lang": "language", "set_lang": "set or language"}[by]
            raise unknown_name(name, "sampling.weights", kind, {**known, **languages})
    if set_of_group is None:
        return _some(Weights(alpha, inner, factors), factors)
    return _some(Weights(alpha, inner, factors, set_factors), factors * set_factors[set_of_group])


def _some(weights: Weights, factors: NDArray[np.float64]) -> Weights:
    if not factors.any():
        raise UserError("sampling: all weights are 0: nothing is left to train on")
    return weights
