"""A rough estimate of the seconds that the probes of all systems take on this machine."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from espnet2.data.index import AudioIndex
from espnet2.evaluate.part import EvaluationRequest
from espnet2.evaluate.probes.ctc import BATCH_FRAMES, PASSES, SpokenSet, fit_ctc
from espnet2.evaluate.probes.linear import BATCH_EXAMPLES, UPDATES, Examples, fit_linear
from espnet2.evaluate.systems import System, open_system

TRIAL_SECONDS = 10.0  # of noise through each system
TRIAL_UPDATES = 10  # of a linear probe
TRIAL_CLASSES = 50  # phones, speakers or letters: about
TRIAL_TOKENS = 20  # of each utterance
TRIAL_UTTERANCES = 10  # of a batch of the CTC probe


@dataclass(frozen=True)
class ProbeLoad:
    """What every system gets."""

    tasks: Sequence[str]
    num_token_types: int  # of CTC
    per_layer: Sequence[str]  # kinds of systems whose layers get a phone probe each


def forecast(request: EvaluationRequest, systems: Sequence[System], load: ProbeLoad) -> float:
    """Seconds, if every task is possible and nothing is done yet."""
    sample_rate = AudioIndex.open(request.train_set).sample_rate
    indexes = [(AudioIndex.open(dump_set), max_frames) for dump_set, max_frames in request.limited_sets]
    audio = [
        min(max_frames / request.frame_rate, index.total_samples / index.sample_rate) for index, max_frames in indexes
    ]
    generator = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(round(TRIAL_SECONDS * sample_rate), generator=generator)
    classes = [task for task in load.tasks if task != "ctc"]
    recognisers = load.num_token_types if "ctc" in load.tasks else 0
    seconds = 0.0
    for system in systems:
        extractor = open_system(system, sample_rate, request.device, request.layers)
        per_second = _timed(partial(extractor.extract, [noise])) / TRIAL_SECONDS
        seconds += per_second * sum(audio) * (len(classes) + recognisers)
        fits = len(classes) * _linear(extractor.num_layers, extractor.dim, request.device)
        if "phone" in classes and system.kind in load.per_layer:
            fits += extractor.num_layers * _linear(1, extractor.dim, request.device)
        if recognisers:
            batches = PASSES * audio[0] * request.frame_rate / BATCH_FRAMES
            fits += recognisers * batches * _recogniser(extractor.num_layers, extractor.dim, request.device)
        seconds += fits * len(request.seeds)
    return seconds


def _timed(action: Callable[[], object]) -> float:
    """The second call: the first one also prepares."""
    action()
    began = time.monotonic()
    action()
    return time.monotonic() - began


def _linear(num_layers: int, dim: int, device: str) -> float:
    """Seconds of one linear probe."""
    classes = torch.arange(BATCH_EXAMPLES) % TRIAL_CLASSES
    examples = Examples(torch.randn(num_layers, BATCH_EXAMPLES, dim, generator=torch.Generator()), classes)
    trial = partial(fit_linear, examples, examples, TRIAL_CLASSES, seed=0, device=device, updates=TRIAL_UPDATES)
    return _timed(trial) * UPDATES / TRIAL_UPDATES


def _recogniser(num_layers: int, dim: int, device: str) -> float:
    """Seconds of one batch of the CTC probe."""
    features = torch.randn(num_layers, BATCH_FRAMES, dim, generator=torch.Generator())
    counts = (BATCH_FRAMES // TRIAL_UTTERANCES,) * TRIAL_UTTERANCES
    targets = (1 + torch.arange(TRIAL_TOKENS),) * TRIAL_UTTERANCES
    spoken = SpokenSet(features, counts, targets)
    return _timed(partial(fit_ctc, spoken, spoken, TRIAL_CLASSES, seed=0, device=device, passes=1))
