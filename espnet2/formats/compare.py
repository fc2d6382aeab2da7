"""Two models and the same sounds in, the largest difference between their hidden layers out."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.ssl.model import SSLModel
from espnet2.utils.errors import UserError

LIMIT = 1e-4  # above it, a conversion is refused
# The same from waveforms that each side scales itself: transformers adds 1e-7 to the variance where others add 1e-5.
RAW_LIMIT = 1e-2
SECONDS = (1.0, 0.57, 0.31)  # of the sounds: no whole number of frames
SEED = 0
States = Mapping[int | str, Tensor]  # layer, or "last" after the final norm -> (frames, dim)


class OtherSide(NamedTuple):
    """A model of another library."""

    states: Callable[[Tensor], States]  # (samples,) scaled as in training -> the layers it shows of one utterance
    prepare: Callable[[Tensor], Tensor]  # (samples,) as they are in the file -> scaled by the library's own rule
    scales: bool = False  # `states` scales waveforms itself, by our own rule: it takes them as they are in the file


class DifferenceJson(TypedDict):
    """What the card of a conversion says about how well both sides agree."""

    largest_difference: float  # absolute, over all sounds and layers
    limit: float
    largest_difference_own_scaling: float  # where each side scales waveforms itself
    sounds_samples: list[int]  # lengths of the sounds
    layers_compared: list[int | str]


def sounds(model: SSLModel) -> list[Tensor]:
    """Sounds of different lengths that nothing random outside decides: harmonics whose pitch glides, and noise."""
    geometry = model.frontend.geometry
    generator = torch.Generator().manual_seed(SEED)
    wavs = []
    for number, seconds in enumerate(SECONDS):
        samples = max(round(seconds * geometry.sample_rate), geometry.num_samples(3))
        time = torch.arange(samples, dtype=torch.float64) / geometry.sample_rate
        pitch = 2 * math.pi * (110.0 * (number + 1) * time + 20 * time.square())
        voice = sum(torch.sin(harmonic * pitch) / harmonic for harmonic in range(1, 6))
        noise = torch.randn(samples, generator=generator, dtype=torch.float64)
        wavs.append((0.1 * voice + 0.03 * noise).float())
    return wavs


def normalised(model: SSLModel, wav: Tensor) -> Tensor:
    """The waveform as the loader gives it to the model."""
    if model.frontend.normalize == "none":
        return wav
    return ((wav.double() - wav.double().mean()) / (wav.double().var(correction=0) + VARIANCE_FLOOR).sqrt()).float()


@torch.no_grad()
def our_states(model: SSLModel, wav: Tensor) -> States:
    """Layers 0 to the top, and "last", of one utterance (samples,) scaled as in training."""
    layers = tuple(range(model.encoder.num_layers + 1))
    hidden, _ = model.first.encode_whole(wav[None], torch.tensor([len(wav)]), layers)  # SpeechFlow's input is its own
    return {**{layer: value[0] for layer, value in hidden.layers.items()}, "last": hidden.output[0]}


def layer_norm(wav: Tensor) -> Tensor:
    """The waveform with zero mean and unit variance, as fairseq, s3prl and torchaudio do it."""
    return torch.nn.functional.layer_norm(wav, wav.shape)


def largest_difference(model: SSLModel, other: OtherSide) -> DifferenceJson:
    """The largest absolute difference over all sounds and all layers that the other side shows, for the card.

    Args:
        model: in evaluation mode.

    Raises:
        UserError: it is above the limit, or the other side has another number of frames.
    """
    worst = {"same": 0.0, "raw": 0.0}
    layers: set[int | str] = set()
    for wav in sounds(model):
        ours = our_states(model, normalised(model, wav))
        same = wav if other.scales else normalised(model, wav)
        for kind, given in {"same": same, "raw": other.prepare(wav)}.items():
            theirs = other.states(given)
            layers |= set(theirs)
            worst[kind] = max([worst[kind], *(_difference(layer, ours[layer], theirs[layer]) for layer in theirs)])
    if worst["same"] > LIMIT or worst["raw"] > RAW_LIMIT or "last" not in layers:
        raise UserError(
            f"the hidden layers of both sides differ by {worst['same']:.2g} on the same sounds, at most {LIMIT:g} is "
            f"allowed ({worst['raw']:.2g} where each side scales them itself, {RAW_LIMIT:g}); "
            "the conversion is refused and nothing is left of it"
        )
    return {
        "largest_difference": worst["same"],
        "limit": LIMIT,
        "largest_difference_own_scaling": worst["raw"],
        "sounds_samples": [len(wav) for wav in sounds(model)],
        "layers_compared": [*sorted(layer for layer in layers if isinstance(layer, int)), "last"],
    }


def _difference(layer: int | str, ours: Tensor, theirs: Tensor) -> float:
    """The largest absolute difference; infinite where one is no number."""
    if ours.shape != theirs.shape:
        shapes = f"{tuple(theirs.shape)} there, {tuple(ours.shape)} here"
        raise UserError(f"layer {layer} has the shape {shapes}; the conversion is refused")
    difference = float((theirs.float() - ours).abs().max())
    return difference if math.isfinite(difference) else math.inf
