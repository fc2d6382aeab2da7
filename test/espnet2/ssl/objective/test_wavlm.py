"""WavLM: parity with transformers and torchaudio, figures of clean and mixed clips, gates, sizes, collapse."""

from dataclasses import replace

import pytest
import torch
import torchaudio
from hubert_weights import randomise
from tiny_model import ENCODER, NUM_CLASSES, mean_loss, noise_batch, tiny_config, tiny_model
from transformers import WavLMConfig, WavLMModel
from wavlm_weights import to_torchaudio_wavlm, to_transformers_wavlm

from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.modules.gated_relative import PositionGate
from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config, resolve_config
from espnet2.utils.errors import UserError

KERNELS, STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
SMALL = {"dim": 48, "num_layers": 3, "num_heads": 4, "ffn_dim": 96, "position_kernel": 16, "position_groups": 4}
WIDE = {"dim": 768, "num_layers": 2, "num_heads": 12, "ffn_dim": 3072, "position_kernel": 128, "position_groups": 16}
SIZES = [
    pytest.param({"channels": 32, "encoder": SMALL, "norm": "group"}, id="small, group norm, post-LN"),
    pytest.param({"channels": 32, "encoder": SMALL, "norm": "layer"}, id="small, layer norm, pre-LN"),
    pytest.param({"channels": 32, "encoder": WIDE, "norm": "group"}, id="as wide as base"),
]


def ours(*, channels: int, encoder: dict, norm: str):
    torch.manual_seed(0)
    model = build(
        resolve_config(
            {
                "frontend_conf": {"channels": channels, "norm": norm, "dropout": 0.0},
                "encoder_conf": {
                    **encoder, "norm": "post" if norm == "group" else "pre", "attention_position": "gated_relative",
                },
                "loss": [{"name": "wavlm", "conf": {"num_classes": NUM_CLASSES}}],
            }
        )
    )  # fmt: skip
    randomise(model, seed=1)
    with torch.no_grad():
        model.encoder.attention_position.table += 0.5 * torch.randn_like(model.encoder.attention_position.table)
    return model.eval()


def transformers_model(model, *, channels: int, encoder: dict, norm: str):
    config = WavLMConfig(
        hidden_size=encoder["dim"], num_hidden_layers=encoder["num_layers"], num_attention_heads=encoder["num_heads"],
        intermediate_size=encoder["ffn_dim"], conv_dim=[channels] * 7, conv_kernel=KERNELS, conv_stride=STRIDES,
        feat_extract_norm=norm, do_stable_layer_norm=norm == "layer", conv_bias=False, num_buckets=320,
        max_bucket_distance=800, num_conv_pos_embeddings=encoder["position_kernel"],
        num_conv_pos_embedding_groups=encoder["position_groups"],
    )  # fmt: skip
    other = WavLMModel(config).eval()
    other.load_state_dict(to_transformers_wavlm(model.state_dict()))
    return other


def torchaudio_model(model, *, channels: int, encoder: dict, norm: str):
    layers = [(channels, kernel, stride) for kernel, stride in zip(KERNELS, STRIDES, strict=True)]
    other = torchaudio.models.wavlm_model(
        extractor_mode=f"{norm}_norm", extractor_conv_layer_config=layers, extractor_conv_bias=False,
        encoder_embed_dim=encoder["dim"], encoder_projection_dropout=0.0,
        encoder_pos_conv_kernel=encoder["position_kernel"], encoder_pos_conv_groups=encoder["position_groups"],
        encoder_num_layers=encoder["num_layers"], encoder_num_heads=encoder["num_heads"], encoder_num_buckets=320,
        encoder_max_distance=800, encoder_attention_dropout=0.0, encoder_ff_interm_features=encoder["ffn_dim"],
        encoder_ff_interm_dropout=0.0, encoder_dropout=0.0, encoder_layer_norm_first=norm == "layer",
        encoder_layer_drop=0.0, aux_num_out=None,
    )  # fmt: skip
    other.load_state_dict(to_torchaudio_wavlm(model.state_dict()))
    return other.eval()


@pytest.mark.parametrize("size", SIZES)
@torch.no_grad()
def test_hidden_states_are_those_of_both_libraries(size):
    model = ours(**size)
    batch = noise_batch(model, (40000, 40000))  # 124 frames: beyond the 80 single-frame buckets
    num_layers = size["encoder"]["num_layers"]
    layers, _ = model.first.extract(batch.wavs, batch.wav_lengths, range(num_layers + 1))
    last = model.encoder(model.frontend(batch.wavs, None).projected, None).last
    expected = transformers_model(model, **size)(batch.wavs, output_hidden_states=True)
    torch.testing.assert_close(last, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    for hidden, expected_hidden in zip(layers[:-1], expected.hidden_states, strict=False):
        torch.testing.assert_close(hidden, expected_hidden, atol=1e-5, rtol=1e-5)
    heard, _ = torchaudio_model(model, **size).extract_features(batch.wavs)
    for hidden, expected_hidden in zip(layers[1:], heard, strict=True):
        torch.testing.assert_close(hidden, expected_hidden, atol=1e-5, rtol=1e-5)
    model.encoder.attention_position.table.zero_()
    without = model.encoder(model.frontend(batch.wavs, None).projected, None).last
    assert not torch.allclose(without, last, atol=1e-2), "the biases must matter in this test"


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # transformers calls torch like that
@torch.no_grad()
def test_padded_batches_agree_with_transformers_in_layer_norm_mode():
    size = {"channels": 32, "encoder": SMALL, "norm": "layer"}
    model = ours(**size)
    batch = noise_batch(model, (8000, 5000))
    attention_mask = (torch.arange(8000) < batch.wav_lengths[:, None]).long()
    expected = transformers_model(model, **size)(batch.wavs, attention_mask=attention_mask).last_hidden_state
    frames = model.frontend(batch.wavs, batch.wav_lengths)
    output = model.encoder(frames.projected, frames.lengths).last
    for row, length in enumerate(frames.lengths.tolist()):
        torch.testing.assert_close(output[row, :length], expected[row, :length], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("size", "shared"),
    [("base", 94_381_168), ("large", 315_452_096)],  # torchaudio.models.wavlm_base and wavlm_large
)
def test_sizes(root, size, shared):
    config = load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_wavlm_{size}.yaml")
    with torch.device("meta"):
        model = build(config, 500)
        assert count_parameters(model.frontend) + count_parameters(model.encoder) == shared
        hubert = build(load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_hubert_{size}.yaml"), 500)
    more = {"base": 10_224, "large": 17_984}[size]
    assert count_parameters(model) - count_parameters(hubert) == more


def test_encoder_without_gates_is_refused():
    conf = {"num_classes": NUM_CLASSES}
    with pytest.raises(UserError, match="attention_position to gated_relative"):
        build(resolve_config({"frontend": "fbank", "encoder_conf": ENCODER, "loss": [{"name": "wavlm", "conf": conf}]}))


def test_loss_is_huberts():
    model, other = tiny_model("wavlm"), tiny_model("hubert", encoder_conf={"attention_position": "gated_relative"})
    state = {name.replace("objectives.wavlm.", "objectives.hubert."): v for name, v in model.state_dict().items()}
    other.load_state_dict(state)
    batch = noise_batch(model)
    same = replace(batch, draws={"hubert": batch.draws["wavlm"]})
    assert torch.equal(mean_loss(model, batch), mean_loss(other, same))


def test_accuracy_of_clean_and_mixed_clips():
    model = tiny_model("wavlm")
    batch = noise_batch(model)
    assert "clean_masked_accuracy" not in model(batch)["wavlm"].stats
    masked = batch.draws["wavlm"]["mask"]
    right = batch.labels.clone()
    right[1] = (right[1] + 1) % NUM_CLASSES  # the second clip is predicted wrong
    logits = torch.zeros(2, 49, NUM_CLASSES).scatter_(2, right.clamp(min=0)[..., None], 1.0)
    model.first.head.forward = lambda hidden: logits

    def figures(mixed):
        stats = model(replace(batch, mixed=torch.tensor(mixed)))["wavlm"].stats
        names = ("clean_masked_accuracy", "mixed_masked_accuracy")
        return [(int(stats[name].total), int(stats[name].count)) for name in names]

    first, second = int(masked[0].sum()), int(masked[1].sum())
    assert figures([False, True]) == [(first, first), (0, second)]
    assert figures([True, False]) == [(0, second), (first, first)]
    assert figures([False, False]) == [(first, first + second), (0, 0)]


def test_mean_gate_of_the_sheet():
    model = tiny_model("wavlm", encoder_conf={"layerdrop": 0.0})
    batch = noise_batch(model, (16000, 9000))
    stats = model(batch)["wavlm"].stats
    first = float(stats["position_gate"].total / stats["position_gate"].count)
    assert 1.0 < first < 2.5
    lengths = model.frontend.geometry.output_lengths(batch.wav_lengths)
    assert int(stats["position_gate"].count) == int(lengths.sum()), "padding does not count"
    with torch.no_grad():
        for module in model.encoder.modules():
            if isinstance(module, PositionGate):
                module.linear.weight.zero_()
                module.linear.bias.zero_()
    stats = model(batch)["wavlm"].stats
    assert float(stats["position_gate"].total / stats["position_gate"].count) == pytest.approx(1.75, abs=1e-6)


def test_table_and_gates_are_trained():
    model = tiny_model("wavlm", encoder_conf={"num_layers": 3})
    mean_loss(model, noise_batch(model)).backward()
    assert model.encoder.attention_position.table.grad.abs().sum() > 0
    for block in model.encoder.blocks:
        for parameter in block.attention.position.parameters():
            assert parameter.grad.abs().sum() > 0


def test_table_stays_when_the_first_block_is_dropped():
    model = tiny_model("wavlm", encoder_conf={"layerdrop": 0.5})
    model.encoder.set_layerdrop(torch.tensor([False, True]))
    mean_loss(model, noise_batch(model)).backward()
    assert model.encoder.attention_position.table.grad.abs().sum() > 0


def test_a_collapse_is_told_and_a_healthy_run_is_not():
    objective = tiny_model("wavlm").first
    healthy = [0.02, 0.12, 0.15, 0.14, 0.3, 0.33, 0.31]
    for number, accuracy in enumerate(healthy, 1):
        assert objective.warnings({"masked_accuracy": accuracy}, 100 * number) == []
    (text,) = objective.warnings({"masked_accuracy": 0.06}, 800)
    assert "masked_accuracy fell from 0.330 to 0.060" in text and "lower lr" in text


def test_a_provoked_collapse_is_told():
    """A few huge steps after learning one batch leave a model that names one class."""
    model = tiny_model("wavlm")
    batch = noise_batch(model)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def accuracy() -> float:
        optimizer.zero_grad()
        mean_loss(model, batch).backward()
        optimizer.step()
        ratio = model(batch)["wavlm"].stats["masked_accuracy"]
        return float(ratio.total / ratio.count)

    told = [model.first.warnings({"masked_accuracy": accuracy()}, 201 + update) for update in range(40)]
    assert not any(told)
    optimizer.param_groups[0]["lr"] = 30.0
    told = [model.first.warnings({"masked_accuracy": accuracy()}, 241 + update) for update in range(5)]
    assert any(told)


def test_unlabelled_frames_count_nowhere():
    model = tiny_model("wavlm")
    batch = noise_batch(model)
    unlabelled = replace(batch, labels=torch.full_like(batch.labels, NO_LABEL), mixed=torch.tensor([True, False]))
    stats = model(unlabelled)["wavlm"].stats
    assert int(stats["clean_masked_accuracy"].count) == int(stats["mixed_masked_accuracy"].count) == 0


def test_mini_config_mixes(root):
    config = load_config(root / "egs2/TEMPLATE/ssl1/conf/train_wavlm_mini.yaml")
    assert config.augment.mixing.probability == 0.2
    assert tiny_config("wavlm").augment.mixing is None
