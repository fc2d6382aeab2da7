"""w2v-BERT: what trains what, the tap, noise in place of frames, transformers' contrast below, the watch."""

import pytest
import torch
from tiny_model import mean_loss, noise_batch, seeded_forward, tiny_model
from tiny_watch import watch_training
from torch.nn import functional as F
from wav2vec2_weights import CONF, figures, ours, their_loss, theirs

from espnet2.ssl.objective.w2v_bert import NOISE_STD
from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config, resolve_config
from espnet2.utils.errors import UserError

CONV = {"frontend_conf": {"subsample": "conv2d", "conv2d_channels": 4, "num_mels": 20}}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def terms(model, batch):
    return {term.name: term for term in seeded_forward(model, batch)["w2v_bert"].terms}


def test_terms_and_weights():
    model = tiny_model("w2v_bert", conf={"contrastive_weight": 0.5, "prediction_weight": 2.0})
    weights = {name: term.weight for name, term in terms(model, noise_batch(model)).items()}
    assert weights == {"contrastive": 0.5, "diversity": 0.05, "masked_prediction": 2.0}


def test_the_contrastive_task_is_that_of_transformers_with_the_lower_blocks():
    """The mask vector after the projection, so that the input is wav2vec 2.0's; N_c = 2 of 3 blocks."""
    conf = CONF | {"contrastive_layers": 2, "mask_value": "learned", "num_groups": 2}
    model = ours(name="w2v_bert", conf=conf).eval()
    other = theirs(model, "w2v_bert", num_layers=2).eval()
    batch = noise_batch(model, (16000, 16000))
    with torch.no_grad():
        contrastive = terms(model, batch)["contrastive"]
        expected_loss = their_loss(other, batch, batch.draws["w2v_bert"]).contrastive_loss
    torch.testing.assert_close(
        contrastive.total / contrastive.count, expected_loss / contrastive.count, atol=1e-5, rtol=1e-5
    )


def test_the_prediction_is_a_softmax_over_the_codes_of_the_masked_frames():
    model = tiny_model("w2v_bert").eval()
    batch = noise_batch(model, (16000, 9000))
    objective = model.first
    prediction = terms(model, batch)["masked_prediction"]
    ids = objective.codes(batch.wavs, batch.wav_lengths).codes[1]
    hidden = []
    hook = model.encoder.register_forward_hook(lambda module, inputs, output: hidden.append(output.last))
    terms(model, batch)
    hook.remove()
    mask = batch.draws["w2v_bert"]["mask"]
    expected = F.cross_entropy(objective.code_head(hidden[0][mask]), ids[mask], reduction="sum")
    torch.testing.assert_close(prediction.total, expected, atol=1e-4, rtol=1e-5)
    assert prediction.count == mask.sum()


def gradients(model, batch, *names):
    """Name -> gradient of these terms of the loss."""
    model.zero_grad()
    loss_terms = terms(model, batch)
    sum(loss_terms[name].total for name in names).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def is_moved(gradient):
    return gradient is not None and bool(gradient.abs().sum() > 0)


@pytest.mark.parametrize("ids", ["sampled", "best"])
def test_the_prediction_trains_everything_but_the_quantizer(ids):
    model = tiny_model("w2v_bert", conf={"target_ids": ids}, **CONV)
    gradient_of = gradients(model, noise_batch(model, (32000, 32000)), "masked_prediction")
    for name, gradient in gradient_of.items():
        if ".quantizer." in name or ".head." in name:
            assert not is_moved(gradient), name
        elif "attention.qkv.bias" not in name:  # softmax does not see the bias of the keys
            assert is_moved(gradient), name


def test_the_contrast_trains_the_quantizer_and_the_lower_blocks_only():
    model = tiny_model("w2v_bert", **CONV)
    gradient_of = gradients(model, noise_batch(model, (32000, 32000)), "contrastive")
    for name in ("quantizer.projection.weight", "quantizer.codes", "head.code_projection.weight"):
        assert is_moved(gradient_of[f"objectives.w2v_bert.{name}"]), name
    assert is_moved(gradient_of["encoder.blocks.0.ffn_in.weight"]) and not is_moved(
        gradient_of["encoder.blocks.1.ffn_in.weight"]
    )
    assert not is_moved(gradient_of["objectives.w2v_bert.code_head.weight"])
    assert any(is_moved(gradient) for name, gradient in gradient_of.items() if "subsampler" in name)


def hidden_input(model, batch):
    """What the encoder gets."""
    seen = []
    hook = model.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    seeded_forward(model, batch)
    hook.remove()
    return seen[0]


def test_masked_frames_are_noise_before_the_projection():
    model = tiny_model("w2v_bert", **CONV)
    batch = noise_batch(model, (16000, 16000))
    mask = batch.draws["w2v_bert"]["mask"]
    with torch.no_grad():
        features = model.frontend(batch.wavs, None).features
    inputs = []
    model.frontend.project = lambda features: inputs.append(features) or features.new_zeros(*features.shape[:2], 16)
    torch.manual_seed(0)
    model(batch)
    assert torch.equal(inputs[0][~mask], features[~mask])
    noise = inputs[0][mask]
    assert noise.std().item() == pytest.approx(NOISE_STD, rel=0.1) and abs(noise.mean().item()) < 0.02
    model(batch)
    assert not torch.equal(inputs[1][mask], noise), "new noise in every step"
    model.eval()
    model(batch)
    model(batch)
    assert torch.equal(inputs[2], inputs[3]), "fixed in validation"


def test_a_learned_mask_stands_after_the_projection():
    model = tiny_model("w2v_bert", conf={"mask_value": "learned"}, **CONV)
    batch = noise_batch(model, (16000, 16000))
    mask = batch.draws["w2v_bert"]["mask"]
    x = hidden_input(model, batch)
    assert (x[mask] == model.first.mask_embedding).all() and not (x[~mask] == model.first.mask_embedding).all(-1).any()
    assert tiny_model("w2v_bert").first.mask_embedding is None, "without it no parameter that is never used"


def test_mask_and_rate_of_the_paper(root):
    """1600 mel frames give 400 frames less one that the edge cannot fill; half of them masked in spans of ten."""
    config = load_config(root / "egs2/TEMPLATE/ssl1/conf/train_w2v_bert_large.yaml")
    with torch.device("meta"):
        model = build(config)
    lengths = torch.full((200,), model.frontend.analysis_geometry.num_samples(1600))
    frames = model.frontend.geometry.output_lengths(lengths)
    assert frames[0] == 399 and model.frontend.geometry.frame_rate == 25
    mask = model.first.draw(lengths, (), torch.Generator().manual_seed(0))["mask"]
    assert mask.float().mean().item() == pytest.approx(0.49, abs=0.03)


@pytest.mark.parametrize(
    ("size", "parameters", "tap", "width", "rate"),
    [
        ("base", 85_524_736, 6, 4864, 25),
        ("large", 619_117_824, 12, 4864, 25),  # "0.6 billion"
        ("600m", 609_531_712, 8, 160, 50),
    ],
)
def test_sizes(root, size, parameters, tap, width, rate):
    config = load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_w2v_bert_{size}.yaml")
    with torch.device("meta"):
        model = build(config)
    assert count_parameters(model) == parameters
    assert (model.first.config.contrastive_layers, model.frontend.feature_dim) == (tap, width)
    assert model.frontend.geometry.frame_rate == rate and model.first.config.num_codes == 1024


def test_starts_near_the_loss_of_guessing():
    conf = {"num_codes": 1024, "code_dim": 64, "final_dim": 64, "num_negatives": 100}
    model = tiny_model("w2v_bert", conf=conf)
    loss_terms = terms(model, noise_batch(model, (48000, 48000)))
    assert (loss_terms["contrastive"].total / loss_terms["contrastive"].count).item() == pytest.approx(4.615, abs=0.35)
    prediction = loss_terms["masked_prediction"]
    assert (prediction.total / prediction.count).item() == pytest.approx(6.931, abs=0.35)  # ln 1024


def test_several_codebooks_are_predicted_apart():
    model = tiny_model("w2v_bert", conf={"num_groups": 2, "target_groups": 2})
    batch = noise_batch(model)
    loss = seeded_forward(model, batch)["w2v_bert"]
    prediction = terms(model, batch)["masked_prediction"]
    assert (
        loss.stats["masked_accuracy"].count
        == 2 * prediction.count
        == 2 * model.first.counts(batch)["masked_prediction"]
    )
    assert model.first.code_head.out_features == 12
    assert (prediction.total / prediction.count).item() == pytest.approx(1.79, abs=0.5)  # ln 6, the mean over both


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_conf": {"layerdrop": 0.1}}, "layerdrop is 0.1, but the contrastive loss reads block 1"),
        ({"conf": {"contrastive_layers": 2}}, "contrastive_layers is 2, but the encoder has 2 blocks; expected 1 to 1"),
        ({"conf": {"target_groups": 2}}, "target_groups is 2, num_groups only 1"),
        ({"frontend_conf": {"project": False}}, "needs the frontend's projection"),
    ],
)
def test_refuses_what_cannot_work(change, message):
    with pytest.raises(UserError, match=message):
        tiny_model("w2v_bert", **change)


def test_a_conformer_below_works_and_learns():
    encoder = {"num_layers": 2, "dim": 16, "num_heads": 2, "ffn_dim": 32, "conv_kernel": 5, "dropout": 0.0}
    model = build_conformer(encoder | {"attention_dropout": 0.0})
    batch = noise_batch(model, (16000, 12000))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    first = mean_loss(model, batch).item()
    for _ in range(40):
        optimizer.zero_grad()
        mean_loss(model, batch).backward()
        optimizer.step()
    assert mean_loss(model, batch) < 0.9 * first


def build_conformer(encoder_conf):
    torch.manual_seed(0)
    conf = {"contrastive_layers": 1, "num_codes": 6, "code_dim": 8, "final_dim": 8, "num_negatives": 5}
    return build(
        resolve_config(
            {
                "frontend": "fbank",
                "encoder": "conformer",
                "encoder_conf": encoder_conf,
                "loss": [{"name": "w2v_bert", "conf": conf}],
            }
        )
    )


@pytest.mark.parametrize(("name", "frontend"), [("wav2vec2", "conv"), ("w2v_bert", "conv"), ("w2v_bert", "fbank")])
def test_bf16_loss_is_near_the_float32_one(name, frontend):
    model = tiny_model(name, frontend=frontend)
    batch = noise_batch(model, (32000, 20000))
    expected = mean_loss(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mean_loss(model, batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, atol=0.3, rtol=0.05)
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_watch_knows_a_prediction_that_is_too_easy():
    model = tiny_model("w2v_bert", conf={"num_codes": 16, "code_dim": 32})
    batch = noise_batch(model, (48000, 48000))
    healthy = figures(model, batch, "w2v_bert") | {"contrastive_accuracy": 0.3}
    assert model.first.warnings(healthy, 200) == []
    with torch.no_grad():
        model.first.quantizer.projection.bias[3] = 1000.0  # one code for everything
        model.first.code_head.bias[3] = 1000.0
    collapsed = figures(model, batch, "w2v_bert")
    assert collapsed["masked_accuracy"] == 1.0 and collapsed["loss_diversity"] == pytest.approx(1 - 1 / 16, abs=1e-4)
    warnings = model.first.warnings(collapsed, 200)
    assert [warning.split()[0] for warning in warnings] == ["code_perplexity", "loss_contrastive", "masked_accuracy"]


def test_a_run_that_collapses_is_told_within_200_updates():
    """One code runs away from the others, little by little."""

    def push(model):
        with torch.no_grad():
            model.first.quantizer.projection.bias[0] += 1

    warnings = watch_training(tiny_model("w2v_bert"), 200, disturb=push)
    assert any("code_perplexity is 1.0 of" in text and "lower lr" in text for text in warnings), warnings
