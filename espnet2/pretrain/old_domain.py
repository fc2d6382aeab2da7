"""Sets of the domain that a model came from in, what each validation measures of them out: the forgetting check."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from espnet2.data.dataset import VALID_STREAM, SpeechDataset
from espnet2.data.index import JoinedIndex, open_indexes
from espnet2.data.labels.check import check_training_labels
from espnet2.data.labels.joined import JoinedLabels, check_same_labels
from espnet2.data.labels.sets import UNNAMED, parse_label_sets
from espnet2.data.sampler import sequential_shards
from espnet2.pretrain.inputs import DataPaths, Inputs, check_lengths
from espnet2.pretrain.probe import open_probe
from espnet2.ssl.model import SSLModel
from espnet2.tasks.build import label_set_names, needs_labels
from espnet2.tasks.config import SSLConfig
from espnet2.train.data import VALID_SHARD_SECONDS, ValidSet
from espnet2.train.history import OLD_DOMAIN
from espnet2.utils.errors import UserError


class OldDomain(NamedTuple):
    """What is measured, and lines about it for the log."""

    valid: ValidSet
    lines: Sequence[str]


def open_old_domain(
    config: SSLConfig, paths: DataPaths, inputs: Inputs, model: SSLModel, trained_seconds: float
) -> OldDomain | None:
    """Open `--old_sets`; None where there are none.

    Args:
        trained_seconds: of audio between two validations.

    Raises:
        UserError: a set is missing, empty, of another rate, too short for the objective or the valid set itself; its
            labels are missing for a set or of other clusters; or nothing of it can be measured.
    """
    if not paths.old_sets:
        if paths.old_labels:
            raise UserError("--old_labels are labels of --old_sets, which are not given; name the sets, too")
        return None
    try:
        index = open_indexes(paths.old_sets)
    except UserError as error:
        raise UserError(f"--old_sets, the old domain: {error}") from None
    _check_sets(index, inputs, model)
    labels = _open_labels(config, paths, inputs, index, model)
    probe, line = open_probe(config.probe, index, model, trained_seconds)
    has_loss = bool(labels) or not needs_labels(config)
    if not has_loss and probe is None:
        raise UserError(
            f"--old_sets {' '.join(paths.old_sets)}: nothing of it can be measured: no --old_labels for the loss, and "
            f"{line}"
        )
    rate = index.sample_rate
    shards = sequential_shards(
        np.asarray(index.num_samples), config.valid_batch_bins or round(VALID_SHARD_SECONDS * rate)
    )
    valid = ValidSet(OLD_DOMAIN, _dataset(index, labels, model) if has_loss else None, shards, probe)
    what = (
        "loss and probe" if has_loss and probe else "loss" if has_loss else "probe alone, as there are no --old_labels"
    )
    hours = index.total_samples / rate / 3600
    return OldDomain(valid, [f"old domain: {len(index):,} utterances, {hours:.2f} h: {what}", f"old domain, {line}"])


def _check_sets(index: JoinedIndex, inputs: Inputs, model: SSLModel) -> None:
    names = ", ".join(index.names)
    if len(index) == 0:
        raise UserError(f"--old_sets: {names}: empty; see the log of stages 3 and 4 of that set")
    if index.sample_rate != inputs.train.sample_rate:
        raise UserError(
            f"--old_sets: {names} has {index.sample_rate} Hz, the train sets have {inputs.train.sample_rate} Hz; "
            "format it with the same --fs (stage 3)"
        )
    if index.hash == inputs.valid.hash:
        raise UserError(
            f"--old_sets: {names} is the valid set itself; name a set of the domain that the model comes from"
        )
    check_lengths(index, max(1, *(objective.draw.min_samples() for _, objective in model.entries())), ignore_below=0)


def _open_labels(
    config: SSLConfig, paths: DataPaths, inputs: Inputs, index: JoinedIndex, model: SSLModel
) -> dict[str, JoinedLabels]:
    """By the name of the label set; empty where no loss trains on labels, or none are given."""
    if not paths.old_labels or not needs_labels(config):
        return {}
    folders = parse_label_sets(paths.old_labels, "--old_labels")
    labels: dict[str, JoinedLabels] = {}
    for name in label_set_names(config):
        if name not in folders:
            raise UserError(
                f"--old_labels gives the label sets {', '.join(folders)}, a loss trains on "
                f"{name or 'one without a name'}; give the same names as --valid_labels"
            )
        count, expected = len(folders[name]), len(index.parts)
        if count != expected:
            raise UserError(f"--old_labels: {count} folders of labels for {expected} --old_sets; give one for each")
        labels[name] = JoinedLabels.open(folders[name])
        check_same_labels(inputs.train_labels[name].parts[0], labels[name].parts[0])
        check_training_labels(
            labels[name].parts, index.parts, model.frontend.geometry, allow_rate_reduction=config.allow_rate_reduction
        )
    return labels


def _dataset(index: JoinedIndex, labels: dict[str, JoinedLabels], model: SSLModel) -> SpeechDataset:
    """As the valid set: the same draws for any seed."""
    frontend = model.frontend
    named = {name: joined for name, joined in labels.items() if name != UNNAMED}
    draws = {name: objective.draw for name, objective in model.entries()}
    return SpeechDataset(
        index, labels.get(UNNAMED), draws, frontend.geometry, frontend.normalize, 0, VALID_STREAM, named_labels=named
    )
