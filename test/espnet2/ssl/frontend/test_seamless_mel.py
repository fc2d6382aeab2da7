"""The mel of w2v-BERT 2.0: that of SeamlessM4T's feature extractor, whole and in pieces."""

import pytest
import torch
from transformers import SeamlessM4TFeatureExtractor

from espnet2.ssl.frontend.fbank import FbankFrontend
from espnet2.ssl.modules import pieces

SEAMLESS = {"num_mels": 80, "sample_scale": "int16", "mel_variance": "sample", "mel_norm_eps": 1e-7}


def make(**conf: object) -> FbankFrontend:
    torch.manual_seed(0)
    return FbankFrontend(FbankFrontend.Config(**conf), 8).eval()


@pytest.mark.parametrize("samples", [16000, 15999, 16240, 32000])
def test_mel_of_w2v_bert_2_is_its_extractors(samples, monkeypatch):
    frontend = make(**SEAMLESS)
    wav = 0.1 * torch.randn(samples) * torch.linspace(0, 1, samples)
    wav[2000:6000] = 1e-4 * torch.randn(4000)  # at this scale above Kaldi's floor, and below it where samples end at 1
    wav[8000:9000] = 0
    extractor = SeamlessM4TFeatureExtractor()
    theirs = extractor(wav.numpy(), sampling_rate=16000, return_tensors="pt")
    ours = frontend(wav[None], None).features[0]
    assert len(ours) == theirs["attention_mask"].sum()  # what is left over is padded there, and hidden
    torch.testing.assert_close(ours, theirs["input_features"][0, : len(ours)], atol=1e-3, rtol=1e-4)
    other = make(num_mels=80)(wav[None], None).features[0]
    assert (other - ours).abs().max() > 0.1
    monkeypatch.setattr(pieces, "WHOLE_SECONDS", 0.5)
    monkeypatch.setattr(pieces, "PIECE_SECONDS", 0.3)
    with torch.no_grad():  # statistics of the whole, gathered part by part
        torch.testing.assert_close(frontend(wav[None], None).features[0], ours, atol=1e-4, rtol=1e-4)


def test_the_variance_of_one_frame_and_of_a_norm_that_is_not_there():
    frame = make(**SEAMLESS, stack_frames=1)(torch.randn(2, 400), torch.tensor([400, 400])).features
    assert frame.shape == (2, 1, 80) and (frame == 0).all()
    for wrong in ({"mel_variance": "sample"}, {"mel_norm_eps": 1e-7}):
        with pytest.raises(ValueError, match="which mel_norm corpus does not use"):
            make(mel_norm="corpus", **wrong)
