"""The same weights in transformers' and torchaudio's HuBERT give the same hidden states, loss and gradients."""

from dataclasses import replace

import pytest
import torch
import torchaudio
from hubert_weights import randomise, to_torchaudio, to_transformers
from tiny_model import NUM_CLASSES, mean_loss, noise_batch
from torch.nn import functional as F
from transformers import HubertConfig, HubertModel

from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config, resolve_config

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
NO_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0, "layerdrop": 0.0}
SMALL = {"dim": 48, "num_layers": 3, "num_heads": 4, "ffn_dim": 96, "position_kernel": 16, "position_groups": 4}
BASE = {"dim": 768, "num_layers": 12, "num_heads": 12, "ffn_dim": 3072, "position_kernel": 128, "position_groups": 16}


def ours(*, channels: int, encoder: dict, norm: str = "group", bias: bool = False, grad_mult: float = 0.1):
    torch.manual_seed(0)
    model = build(
        resolve_config(
            {
                "frontend_conf": {
                    "channels": channels, "norm": norm, "bias": bias, "dropout": 0.0, "feature_grad_mult": grad_mult,
                },
                "encoder_conf": {**encoder, **NO_DROPOUT, "norm": "post" if norm == "group" else "pre"},
                "loss": [{"name": "hubert", "conf": {"num_classes": NUM_CLASSES}}],
            }
        )
    )  # fmt: skip
    randomise(model, seed=1)
    return model.eval()


def theirs_transformers(model, *, channels: int, encoder: dict, norm: str, bias: bool):
    large = norm == "layer"
    config = HubertConfig(
        hidden_size=encoder["dim"], num_hidden_layers=encoder["num_layers"], num_attention_heads=encoder["num_heads"],
        intermediate_size=encoder["ffn_dim"], conv_dim=[channels] * 7, conv_kernel=KERNELS, conv_stride=STRIDES,
        feat_extract_norm=norm, do_stable_layer_norm=large, conv_bias=bias,
        num_conv_pos_embeddings=encoder["position_kernel"], num_conv_pos_embedding_groups=encoder["position_groups"],
        attn_implementation="eager",
    )  # fmt: skip
    other = HubertModel(config).eval()
    other.load_state_dict(to_transformers(model.state_dict()))
    return other


SIZES = [
    pytest.param({"channels": 32, "encoder": SMALL, "norm": "group", "bias": False}, id="small, group norm, post-LN"),
    pytest.param({"channels": 32, "encoder": SMALL, "norm": "layer", "bias": True}, id="small, layer norm, pre-LN"),
    pytest.param({"channels": 512, "encoder": BASE, "norm": "group", "bias": False}, id="base"),
]


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_hidden_states_are_those_of_transformers(size):
    model = ours(**size)
    other = theirs_transformers(model, **size)
    batch = noise_batch(model, (8000, 8000))
    num_layers = size["encoder"]["num_layers"]

    expected = other(batch.wavs, output_hidden_states=True)
    layers, lengths = model.first.extract(batch.wavs, batch.wav_lengths, range(num_layers + 1))
    assert lengths.tolist() == [24, 24]
    states = list(expected.hidden_states)
    last = model.encoder(model.frontend(batch.wavs, None).projected, None).last
    if size["norm"] == "layer":  # hidden_states[-1] has been before the final norm in some versions, after it in others
        torch.testing.assert_close(model.encoder.norm(layers[-1]), last)
        if not torch.allclose(states[-1], layers[-1], atol=1e-5):
            layers[-1] = last
    for layer, (output, expected_output) in enumerate(zip(layers, states, strict=True)):
        torch.testing.assert_close(
            output, expected_output, atol=1e-5, rtol=1e-5, msg=lambda text, layer=layer: f"{layer}: {text}"
        )
    torch.testing.assert_close(last, expected.last_hidden_state, atol=1e-5, rtol=1e-5)

    mask = batch.draws["hubert"]["mask"]
    masked = other(batch.wavs, mask_time_indices=mask).last_hidden_state
    projected = model.frontend(batch.wavs, None).projected
    hidden = torch.where(mask[..., None], model.first.mask_embedding, projected)
    torch.testing.assert_close(model.encoder(hidden, None).last, masked, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(masked, expected.last_hidden_state, atol=1e-2)


@torch.no_grad()
def test_padded_batches_agree_with_transformers_in_layer_norm_mode():
    """There both libraries normalise frame by frame, so only attention and positions see the padding."""
    size = {"channels": 32, "encoder": SMALL, "norm": "layer", "bias": False}
    model = ours(**size)
    other = theirs_transformers(model, **size)
    batch = noise_batch(model, (8000, 5000))
    attention_mask = (torch.arange(8000) < batch.wav_lengths[:, None]).long()
    expected = other(batch.wavs, attention_mask=attention_mask).last_hidden_state
    frames = model.frontend(batch.wavs, batch.wav_lengths)
    output = model.encoder(frames.projected, frames.lengths).last
    for row, length in enumerate(frames.lengths.tolist()):
        torch.testing.assert_close(output[row, :length], expected[row, :length], atol=1e-5, rtol=1e-5)


class FixedMask(torch.nn.Module):
    """In place of torchaudio's mask generator: the mask we drew."""

    def __init__(self, dim: int, mask: torch.Tensor) -> None:
        super().__init__()
        self.mask_embedding = torch.nn.Parameter(torch.empty(dim))
        self.mask = mask

    def forward(self, x, padding_mask):
        return torch.where(self.mask[..., None], self.mask_embedding, x), self.mask


def torchaudio_loss(other, batch):
    """(cross-entropy sum over masked frames, penalty, masked frames), as fairseq's criterion adds them up."""
    logits, _, penalty = other(batch.wavs, batch.labels, None)
    targets = torch.zeros(len(logits), dtype=torch.long)  # torchaudio puts the positive into column 0
    return F.cross_entropy(logits, targets, reduction="sum"), penalty, len(logits)


def check_against_torchaudio(model, other, batch, *, gradients: bool):
    cross_entropy, penalty, count = torchaudio_loss(other, batch)
    terms = {term.name: term for term in model(batch)["hubert"].terms}
    assert terms["masked"].count == count == batch.draws["hubert"]["mask"].sum()
    torch.testing.assert_close(terms["masked"].total / count, cross_entropy / count, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(terms["features_penalty"].total / count, penalty, atol=1e-5, rtol=1e-5)
    loss, expected_loss = mean_loss(model, batch), (cross_entropy + 10 * penalty * count) / count
    torch.testing.assert_close(loss, expected_loss, atol=1e-5, rtol=1e-5)
    if gradients:
        loss.backward()
        expected_loss.backward()
        gradients_of = to_torchaudio({name: parameter.grad for name, parameter in model.named_parameters()})
        assert len(gradients_of) == len(dict(other.named_parameters()))
        for name, parameter in other.named_parameters():
            scale = parameter.grad.abs().max().clamp(min=1e-3)
            torch.testing.assert_close(gradients_of[name] / scale, parameter.grad / scale, atol=1e-4, rtol=1e-4)


def test_full_loss_is_that_of_torchaudios_base():
    model = ours(channels=512, encoder=BASE)
    batch = noise_batch(model, (8000, 8000))
    other = torchaudio.models.hubert_pretrain_base(
        num_classes=NUM_CLASSES, encoder_projection_dropout=0.0, encoder_attention_dropout=0.0,
        encoder_dropout=0.0, encoder_layer_drop=0.0,
    )  # fmt: skip
    other.mask_generator = FixedMask(768, batch.draws["hubert"]["mask"])
    other.load_state_dict(to_torchaudio(model.state_dict()))
    with torch.no_grad():
        check_against_torchaudio(model, other.eval(), batch, gradients=False)


def test_gradients_are_those_of_torchaudio():
    model = ours(channels=32, encoder=SMALL, grad_mult=0.1)
    batch = noise_batch(model, (8000, 8000))
    layers = [(32, kernel, stride) for kernel, stride in zip(KERNELS, STRIDES, strict=True)]
    other = torchaudio.models.hubert_pretrain_model(
        extractor_mode="group_norm", extractor_conv_layer_config=layers, extractor_conv_bias=False,
        encoder_embed_dim=48, encoder_projection_dropout=0.0, encoder_pos_conv_kernel=16, encoder_pos_conv_groups=4,
        encoder_num_layers=3, encoder_num_heads=4, encoder_attention_dropout=0.0, encoder_ff_interm_features=96,
        encoder_ff_interm_dropout=0.0, encoder_dropout=0.0, encoder_layer_norm_first=False, encoder_layer_drop=0.0,
        mask_prob=0.8, mask_selection="static", mask_other=0.0, mask_length=10, no_mask_overlap=False,
        mask_min_space=1, mask_channel_prob=0.0, mask_channel_selection="static", mask_channel_other=0.0,
        mask_channel_length=10, no_mask_channel_overlap=False, mask_channel_min_space=1, skip_masked=False,
        skip_nomask=False, num_classes=NUM_CLASSES, final_dim=256, feature_grad_mult=0.1,
    )  # fmt: skip
    other.mask_generator = FixedMask(48, batch.draws["hubert"]["mask"])
    other.load_state_dict(to_torchaudio(model.state_dict()))
    check_against_torchaudio(model, other, batch, gradients=True)
    other_batch = replace(batch, labels=(batch.labels + 1) % NUM_CLASSES)
    assert not torch.allclose(mean_loss(model, batch), mean_loss(model, other_batch))


@pytest.mark.parametrize(
    ("size", "shared", "whole"),
    [
        ("base", 94_370_944, 94_697_600),  # torchaudio: without heads and mask vector; with them, 504 classes
        ("large", 315_435_136 - 1024, None),  # transformers without the biases of convolutions and the mask vector
        ("xlarge", 962_492_544, None),  # "about 1 billion": HuBERT, table 1
    ],
)
def test_sizes(root, size, shared, whole):
    config = load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_hubert_{size}.yaml")
    with torch.device("meta"):
        model = build(config, 504)
        assert count_parameters(model.frontend) + count_parameters(model.encoder) == shared
        assert whole is None or count_parameters(model) == whole
        if size == "large":
            biased = config.model_copy(update={"frontend_conf": config.frontend_conf.model_copy(update={"bias": True})})
            assert count_parameters(build(biased, 504).frontend) - count_parameters(model.frontend) == 7 * 512
            assert shared + 7 * 512 + model.first.mask_embedding.numel() == 315_438_720  # with both
