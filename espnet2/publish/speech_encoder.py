"""A trained model as an encoder for Python programs: waveforms to layers, or to discrete units.

Three lines:

    encoder = SpeechEncoder.from_pretrained("exp/hubert_iter1")    # or "model.tar.gz", or "hf:user/repository"
    output = encoder(wavs, lengths, sample_rate=16000)
    output.layers[6], output.lengths                               # (batch, frames, dim), (batch,)
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.models.find import find_model
from espnet2.models.hub import REPOSITORY
from espnet2.models.load import load_model
from espnet2.models.locate import HUB
from espnet2.ssl.model import SSLModel
from espnet2.ssl.modules.lengths import valid_frames
from espnet2.ssl.modules.norm import normalise_over_time
from espnet2.units.card import load_kmeans
from espnet2.units.carried import carried_kmeans, require_own_kmeans
from espnet2.units.kmeans_units import KMeansUnits
from espnet2.utils.errors import UserError

CODES = "codes_"  # and a number: units of the method's own codebooks
NO_UNIT = -1  # behind the end of an utterance


class LayerOutput(NamedTuple):
    """What an encoder returns."""

    layers: list[Tensor]  # (batch, frames, dim) float32 each; where all were asked for, layers[l] is layer l
    lengths: Tensor  # (batch,) valid frames


class Units(NamedTuple):
    """One discrete unit per frame."""

    ids: Tensor  # (batch, frames) int64; -1 behind the end of an utterance
    lengths: Tensor  # (batch,) valid frames
    source: str  # which of `unit_sources` gave them


class SpeechEncoder(nn.Module):
    """A trained model as a feature extractor: no masks, no dropout, no gradient.

    Layers are numbered as everywhere in the toolkit: layer l (from 1) is the full output of block l, after the
    residual and, in post-norm models, after its norm; layer 0 is the input of the first block, after positions.
    The waveform is scaled as in training: pass samples in [-1, 1].

    >>> from espnet2.tasks.build import build
    >>> from espnet2.tasks.config import resolve_config
    >>> tiny = {"num_layers": 2, "dim": 16, "num_heads": 2, "ffn_dim": 32}
    >>> loss = [{"name": "hubert", "conf": {"num_classes": 5}}]
    >>> model = build(resolve_config({"frontend_conf": {"channels": 8}, "encoder_conf": tiny, "loss": loss}))
    >>> encoder = SpeechEncoder(model)
    >>> output = encoder(torch.zeros(2, 16000), torch.tensor([16000, 8000]), sample_rate=16000)
    >>> len(output.layers), output.layers[2].shape, output.lengths
    (3, torch.Size([2, 49, 16]), tensor([49, 24]))
    >>> encoder.sample_rate, encoder.frame_rate, encoder.num_layers
    (16000, 50.0, 2)
    """

    def __init__(self, model: SSLModel, *, name: str = "the model", kmeans: Mapping[str, Path] | None = None) -> None:
        super().__init__()
        self.model = model.eval().requires_grad_(False)
        self.name = name
        self.geometry = model.frontend.geometry
        self.sample_rate: int = self.geometry.sample_rate  # Hz
        self.frame_rate: float = self.geometry.frame_rate  # frames per second
        self.num_layers: int = model.encoder.num_layers
        self.dim: int = model.encoder.dim
        self._kmeans = dict(kmeans or {})
        self._loaded: dict[str, KMeansUnits] = {}

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        checkpoint: str = "latest",
        kmeans: str | Path | None = None,
        revision: str | None = None,
        device: torch.device | str = "cpu",
    ) -> "SpeechEncoder":
        """Load a model. Nothing of it is executed: weights are read from safetensors, configs by a safe loader.

        Args:
            name: exp/<name>, a folder or archive that `ssl_pack` wrote, a folder or file of another toolkit that
                `ssl_import` reads, or a Hugging Face repository, "hf:<user>/<name>" or "<user>/<name>".
            checkpoint: of exp/<name>: latest, best_<stat>, ave_<n>best, update_<n>.
            kmeans: a further k-means folder for `units`, learned on a layer of this model.
            revision: of a Hugging Face repository: branch, tag or commit.
            device: where it computes.

        Raises:
            UserError: there is no such model, it is damaged, or the k-means belongs to another model.
        """
        text = str(name)
        path = Path(text)
        if REPOSITORY.fullmatch(text) and not path.exists() and not path.parent.exists():
            text = HUB + text
        files = find_model(text, checkpoint, revision=revision)
        loaded = load_model(files, device=device)
        sources = carried_kmeans(files)
        if kmeans is not None:
            require_own_kmeans(kmeans, files)
            sources[Path(kmeans).resolve().name] = Path(kmeans)
        return cls(loaded.model, name=text, kmeans=sources)

    @property
    def device(self) -> torch.device:
        """Where it computes; move it with `.to(device)`."""
        return next(self.model.parameters()).device

    @torch.no_grad()
    def forward(
        self,
        wavs: Tensor,
        lengths: Tensor | None = None,
        *,
        sample_rate: int | None = None,
        layers: Sequence[int] | None = None,
    ) -> LayerOutput:
        """Waveforms to hidden layers; what is behind the end of an utterance changes nothing.

        Args:
            wavs: (batch, samples) float in [-1, 1], or (samples,) for one utterance.
            lengths: (batch,) samples; None: all rows are full.
            sample_rate: of the audio in Hz; another one than the model's is an error.
            layers: which, in this order; None: all, from 0.

        Raises:
            UserError: another rate, no float samples, no such layer, audio shorter than one frame.
        """
        wavs, lengths = self._prepared(wavs, lengths, sample_rate)
        chosen = range(self.num_layers + 1) if layers is None else layers
        hidden, frames = self.model.first.extract(wavs, lengths, tuple(chosen))
        return LayerOutput([layer.float() for layer in hidden], frames)

    @property
    def unit_sources(self) -> tuple[str, ...]:
        """What `units` can give: names of k-means folders, "codes_<n>" where the method has codebooks of its own.

        The numbers are those of `Objective.code_numbers`: a layer (DinoSR), or a codebook (wav2vec 2.0), from 1.
        """
        return (*self._kmeans, *(f"{CODES}{number}" for number in self.model.first.code_numbers))

    @torch.no_grad()
    def units(
        self,
        wavs: Tensor,
        lengths: Tensor | None = None,
        *,
        sample_rate: int | None = None,
        source: str | None = None,
    ) -> Units:
        """Waveforms to discrete units, one per frame.

        Args:
            wavs, lengths, sample_rate: as for the layers.
            source: one of `unit_sources`; None: the first.

        Raises:
            UserError: the model carries neither k-means nor codebooks, or not this one; or as for the layers.
        """
        sources = self.unit_sources
        source = source or (sources[0] if sources else None)
        if source not in sources:
            raise UserError(
                f"{self.name} has no units{f' of {source}' if source else ''}; "
                + (
                    f"it has {', '.join(sources)}"
                    if sources
                    else "give a k-means of one of its layers: kmeans=<folder>"
                )
            )
        wavs, lengths = self._prepared(wavs, lengths, sample_rate)
        if source in self._kmeans:
            return self._kmeans_units(wavs, lengths, source)
        codes = self.model.first.codes(wavs, lengths)
        ids, frames = codes.codes[int(source.removeprefix(CODES))], codes.lengths
        valid = valid_frames(frames, ids.size(1))
        return Units(ids if valid is None else ids.masked_fill(~valid, NO_UNIT), frames, source)

    def _kmeans_units(self, wavs: Tensor, lengths: Tensor, source: str) -> Units:
        """Row by row: what is done to features before k-means may look at whole utterances."""
        units = self._loaded.get(source)
        if units is None or units.centroids.device != self.device:
            units = self._loaded[source] = KMeansUnits(load_kmeans(self._kmeans[source]), self.device)
        layers, frames = self.model.first.extract(wavs, lengths, units.card.source.layers)
        features = torch.stack(layers).float()  # (layers, batch, frames, dim)
        ids = torch.full(features.shape[1:3], NO_UNIT, device=features.device)
        for row, length in enumerate(frames.tolist()):
            ids[row, :length] = units(features[:, row, :length])
        return Units(ids, frames, source)

    def _prepared(self, wavs: Tensor, lengths: Tensor | None, sample_rate: int | None) -> tuple[Tensor, Tensor]:
        """Checked, on the device, scaled as in training: (batch, samples), (batch,)."""
        if sample_rate is not None and sample_rate != self.sample_rate:
            raise UserError(
                f"{self.name} was trained at {self.sample_rate} Hz, the audio has {sample_rate} Hz; resample it first"
            )
        if not wavs.is_floating_point() or wavs.dim() not in (1, 2):
            raise UserError(
                f"expected float samples in [-1, 1] of shape (batch, samples), found {wavs.dtype} of shape "
                f"{tuple(wavs.shape)}"
            )
        wavs = wavs.to(self.device, torch.float32).reshape(-1, wavs.size(-1))
        if lengths is None:
            lengths = torch.full((len(wavs),), wavs.size(1))
        lengths = lengths.to(self.device)
        shortest = self.geometry.receptive_field_samples
        if lengths.shape != (len(wavs),) or not bool(((lengths >= shortest) & (lengths <= wavs.size(1))).all()):
            raise UserError(
                f"lengths {lengths.tolist()}: expected {len(wavs)} numbers of samples from {shortest} (one frame) to "
                f"{wavs.size(1)}"
            )
        if self.model.frontend.normalize == "utterance":
            wavs = normalise_over_time(wavs[..., None], lengths, eps=VARIANCE_FLOOR)[..., 0]
        valid = valid_frames(lengths, wavs.size(1))
        return (wavs if valid is None else wavs.masked_fill(~valid, 0)), lengths
