"""Features: MFCC as torchaudio computes them, layers as the model computes them, whatever the batch and the chunks."""

import numpy as np
import pytest
import torch
from tiny_model import tiny_model

from espnet2.data.index import AudioIndex
from espnet2.data.waveform import load_wav
from espnet2.ssl.encoder import stack
from espnet2.ssl.modules import attention_rows, pieces
from espnet2.units.features import LayerFeatures, MfccFeatures, map_features
from espnet2.units.kmeans import assign
from espnet2.units.source import make_extractor, resolve_source
from espnet2.utils.errors import UserError


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(num_samples, generator=torch.Generator().manual_seed(seed))


def layer_features(frontend: str = "fbank", layers=(1, 2), **options) -> LayerFeatures:
    return LayerFeatures(tiny_model(frontend=frontend), layers, 16000, **options)


def test_mfcc_are_kaldi_mfcc_with_deltas():
    from torchaudio.compliance.kaldi import mfcc
    from torchaudio.functional import compute_deltas

    wav = noise(16000)
    (features,) = MfccFeatures(16000).extract([wav])
    static = mfcc(wav[None], use_energy=False, dither=0.0)
    assert features.shape == (1, 98, 39)
    torch.testing.assert_close(features[0, :, :13], static)
    torch.testing.assert_close(features[0, :, 13:26], compute_deltas(static.T).T)
    torch.testing.assert_close(features[0, :, 26:], compute_deltas(compute_deltas(static.T)).T)


def test_mfcc_of_other_rates_and_of_nearly_nothing():
    assert MfccFeatures(8000).extract([noise(8000)])[0].shape == (1, 98, 39)
    assert MfccFeatures(16000).extract([noise(399), noise(400)])[0].shape == (1, 0, 39)
    assert MfccFeatures(16000).extract([noise(400)])[0].shape == (1, 1, 39)


@pytest.mark.parametrize("frontend", ["fbank", "conv"])
def test_layers_do_not_depend_on_the_batch(frontend):
    extractor = layer_features(frontend)
    wavs = [noise(length, seed) for seed, length in enumerate((9000, 16000, 7000, 300))]
    together = extractor.extract(wavs)
    for wav, features in zip(wavs, together, strict=True):
        frames = extractor.geometry.output_lengths(len(wav))
        assert features.shape == (2, frames, extractor.dim)
        if frames:
            expected, _ = extractor.model.first.extract(wav[None], torch.tensor([len(wav)]), [1, 2])
            torch.testing.assert_close(features, torch.cat(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("frontend", "options"),
    [
        ("fbank", {"mel_norm": "none"}),
        ("fbank", {"mel_norm": "utterance"}),
        ("conv", {"norm": "layer"}),
        ("conv", {"norm": "group"}),
    ],
)
def test_chunks_join_without_seams(frontend, options):
    """Every frame is there once, in its place: with attention switched off, chunks change nothing.

    Norms over time see the whole waveform: its second half is louder, so statistics of a chunk would be others.
    """
    model = tiny_model(frontend=frontend, frontend_conf=options)
    for name, parameter in model.encoder.named_parameters():
        if "attention.output" in name:
            parameter.data.zero_()
    wav = noise(16000 * 5) * torch.linspace(0, 1, 16000 * 5)
    (whole,) = LayerFeatures(model, [2], 16000).extract([wav])
    for chunk_seconds in (1.0, 1.7, 4.0):
        options = {"whole_seconds": 1.0, "chunk_seconds": chunk_seconds, "context_seconds": 0.2}
        chunked = LayerFeatures(model, [2], 16000, **options)
        assert len(list(chunked._pieces(wav, 0))) > 1
        (features,) = chunked.extract([wav])
        torch.testing.assert_close(features, whole, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("objective", ["hubert", "wavlm", "data2vec2", "dinosr", "speechflow"])
def test_the_whole_needs_no_more_memory_than_its_frames(monkeypatch, objective):
    """Frontend in pieces and attention in rows, each forced to be many: units as of one pass, for any attention."""
    model = tiny_model(objective, frontend="conv")
    wavs = [noise(16000 * seconds, seconds) * torch.linspace(0, 1, 16000 * seconds) for seconds in (3, 2)]
    expected = LayerFeatures(model, [1, 2], 16000).extract(wavs)
    monkeypatch.setattr(pieces, "WHOLE_SECONDS", 1.0)
    monkeypatch.setattr(pieces, "PIECE_SECONDS", 0.7)
    monkeypatch.setattr(stack, "LOGITS_AT_ONCE", 100)
    monkeypatch.setattr(attention_rows, "LOGITS_AT_ONCE", 5000)
    calls = []
    whole = type(model.frontend).analyse
    monkeypatch.setattr(
        type(model.frontend), "analyse", lambda self, *given: calls.append(given[0].size(1)) or whole(self, *given)
    )
    features = LayerFeatures(model, [1, 2], 16000).extract(wavs)
    if objective != "speechflow":  # it masks and joins mel frames itself: nothing of its frontend is large
        assert len(calls) > 6 and max(calls) <= 0.71 * 16000 + 400
    centroids = torch.cat(expected, dim=1)[1][::7]
    for ours, theirs in zip(features, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
        equal = (assign(ours[1], centroids) == assign(theirs[1], centroids)).float().mean()
        assert equal >= 0.99


def test_batches_hold_at_most_the_seconds_given():
    extractor = layer_features(batch_seconds=1.0)
    pieces = [piece for seed in range(7) for piece in extractor._pieces(noise(4000 + 500 * seed, seed), seed)]
    batches = list(extractor._batches(pieces))
    assert sorted(piece.owner for batch in batches for piece in batch) == list(range(7))
    assert all(len(batch) * max(len(piece.wav) for piece in batch) <= 16000 for batch in batches)


def test_a_layer_the_model_lacks_is_refused_with_those_it_has():
    with pytest.raises(UserError, match=r"exp/a has no layer 3; its layers are 1, 2"):
        LayerFeatures(tiny_model(), [3], 16000, name="exp/a")
    with pytest.raises(UserError, match="trained at 16000 Hz, the audio has 8000 Hz"):
        LayerFeatures(tiny_model(), [1], 8000)


def test_features_come_in_the_order_asked_for(corpus):
    index = AudioIndex.open(corpus / "dump/train")
    rows = [7, 2, 9, 0]
    frame_counts = list(map_features(index, rows, MfccFeatures(16000), lambda row, features: (row, features.shape[1])))
    expected = [(row, (int(index.num_samples[row]) - 400) // 160 + 1) for row in rows]
    assert frame_counts == expected


def test_normalisation_gives_zero_mean_and_unit_variance(corpus):
    index = AudioIndex.open(corpus / "dump/train")
    wav = load_wav(index, 3, normalize=True)
    assert wav.mean().abs() < 1e-3  # the file holds 16-bit samples
    assert wav.var(unbiased=False) == pytest.approx(1, abs=0.02)
    raw = load_wav(index, 3, normalize=False)
    torch.testing.assert_close(wav, (raw - index.mean[3]) / np.sqrt(index.variance[3] + 1e-5))


def test_sources(experiment):
    assert make_extractor(resolve_source("mfcc", 0, ""), 16000).dim == 39
    source = resolve_source("espnet_hubert", 2, str(experiment))
    assert source.teacher_hash and make_extractor(source, 16000).layers == (2,)
    with pytest.raises(UserError, match="needs --model"):
        resolve_source("espnet_hubert", 2, "")
    with pytest.raises(UserError, match="counted from 1"):
        resolve_source("espnet_hubert", 0, str(experiment))
    with pytest.raises(UserError, match="known are mfcc, espnet_hubert"):
        resolve_source("plp", 0, "")
    with pytest.raises(UserError, match="no trained model"):
        resolve_source("espnet_hubert", 2, str(experiment.parent / "other"))
