"""wav2vec 2.0: loss and gradients of transformers with equal weights, its own rules, and the watch for a collapse."""

from dataclasses import replace

import pytest
import torch
from tiny_model import mean_loss, noise_batch, seeded_forward, tiny_model
from tiny_watch import watch_training
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining
from wav2vec2_weights import figures, ours, their_loss, theirs

from espnet2.tasks.build import build, count_parameters
from espnet2.tasks.config import load_config
from espnet2.utils.errors import UserError


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def terms(model, batch, name="wav2vec2"):
    return {term.name: term for term in seeded_forward(model, batch)[name].terms}


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_contrastive_loss_and_gradients_are_those_of_transformers(norm):
    """In evaluation, where both take the best code; some distractors have the target's codes."""
    model = ours(norm).eval()
    other = theirs(model, norm=norm).eval()
    batch = noise_batch(model, (16000, 16000))
    contrastive = terms(model, batch)["contrastive"]
    expected = their_loss(other, batch, batch.draws["wav2vec2"])
    assert contrastive.count == batch.draws["wav2vec2"]["mask"].sum()
    torch.testing.assert_close(
        contrastive.total / contrastive.count, expected.contrastive_loss / contrastive.count, atol=1e-5, rtol=1e-5
    )
    contrastive.total.backward()
    expected.contrastive_loss.backward()
    pairs = [
        (model.first.head.hidden_projection, other.project_hid),
        (model.first.head.code_projection, other.project_q),
        (model.encoder.blocks[0].ffn_in, other.wav2vec2.encoder.layers[0].feed_forward.intermediate_dense),
        (model.frontend.projection, other.wav2vec2.feature_projection.projection),
        (model.frontend.blocks[3].conv, other.wav2vec2.feature_extractor.conv_layers[3].conv),
    ]
    for our_layer, their_layer in pairs:
        scale = their_layer.weight.grad.abs().max()
        torch.testing.assert_close(our_layer.weight.grad / scale, their_layer.weight.grad / scale, atol=1e-4, rtol=1e-4)
    codes = other.quantizer.codevectors.grad
    torch.testing.assert_close(model.first.quantizer.codes.grad.flatten(0, 1)[None], codes, atol=1e-4, rtol=1e-4)


def test_diversity_is_that_of_transformers():
    """In training they use clean probabilities too, so that the noise does not matter; they add no floor."""
    model = ours()
    other = theirs(model).train()
    batch = noise_batch(model, (16000, 16000))
    with torch.no_grad():
        diversity = terms(model, batch)["diversity"]
        expected = their_loss(other, batch, batch.draws["wav2vec2"])
    torch.testing.assert_close(
        diversity.total / diversity.count, expected.diversity_loss / diversity.count, atol=1e-5, rtol=1e-5
    )
    assert diversity.weight == other.config.diversity_loss_weight == 0.1


@pytest.mark.parametrize(("size", "parameters"), [("base", 95_044_608), ("large", 317_390_592)])
def test_sizes(root, size, parameters):
    """Base: Wav2Vec2ForPreTraining's defaults; Large: its settings for LV-60k."""
    config = load_config(root / f"egs2/TEMPLATE/ssl1/conf/train_wav2vec2_{size}.yaml")
    large = {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True, "codevector_dim": 768,
        "proj_codevector_dim": 768,
    }  # fmt: skip
    with torch.device("meta"):
        assert count_parameters(build(config)) == parameters
        other = Wav2Vec2ForPreTraining(Wav2Vec2Config(**(large if size == "large" else {})))
    assert count_parameters(other) == parameters


def test_terms_and_weights():
    model = tiny_model("wav2vec2", frontend="conv")
    weights = {name: term.weight for name, term in terms(model, noise_batch(model)).items()}
    assert weights == {"contrastive": 1.0, "diversity": 0.1, "features_penalty": 10.0}
    model = tiny_model("wav2vec2")
    assert list(terms(model, noise_batch(model))) == ["contrastive", "diversity"], "log-mel frames are not learned"


def test_penalty_is_the_mean_square_times_the_masked_frames():
    model = tiny_model("wav2vec2", frontend="conv")
    batch = noise_batch(model)
    analyse = model.frontend.analyse
    model.frontend.analyse = lambda *inputs: (torch.full((2, 49, 12), 2.0), analyse(*inputs)[1])
    penalty = terms(model, batch)["features_penalty"]
    assert penalty.weight * penalty.total == 40 * batch.draws["wav2vec2"]["mask"].sum()


def test_the_quantizer_sees_the_features_without_mask_and_without_projection():
    """Another mask embedding or projection moves the contrast, but not the codes."""
    model = tiny_model("wav2vec2", frontend="conv").eval()
    batch = noise_batch(model)
    before = seeded_forward(model, batch)["wav2vec2"]
    with torch.no_grad():
        model.first.mask_embedding += 3
        model.frontend.projection.weight += 1
    after = seeded_forward(model, batch)["wav2vec2"]
    for name, ratio in before.stats.items():
        assert name == "contrastive_accuracy" or torch.equal(ratio.total, after.stats[name].total), name
    assert not torch.equal(before.terms[0].total, after.terms[0].total)


def test_starts_near_the_loss_of_guessing():
    model = tiny_model("wav2vec2", conf={"num_codes": 320, "code_dim": 256, "final_dim": 256, "num_negatives": 100})
    batch = noise_batch(model, (48000, 48000))
    contrastive = terms(model, batch)["contrastive"]
    assert (contrastive.total / contrastive.count).item() == pytest.approx(4.615, abs=0.35)  # ln 101


def test_dropout_of_features_acts_in_training_only():
    model = tiny_model("wav2vec2", conf={"dropout_features": 0.9})
    batch = noise_batch(model)
    perplexity = seeded_forward(model, batch)["wav2vec2"].stats["code_perplexity_1"].total
    model.first.dropout_features.p = 0.0
    assert seeded_forward(model, batch)["wav2vec2"].stats["code_perplexity_1"].total != perplexity
    model.first.dropout_features.p = 0.9
    model.eval()
    assert torch.equal(mean_loss(model, batch), mean_loss(model, batch))


def test_evaluation_draws_nothing():
    model = tiny_model("wav2vec2").eval()
    batch = noise_batch(model)
    assert torch.equal(mean_loss(model, batch), mean_loss(model, batch))
    torch.manual_seed(5)
    first = model(batch)["wav2vec2"].terms[0].total
    assert torch.equal(first, model(batch)["wav2vec2"].terms[0].total)


def test_temperature_follows_the_update_alone():
    conf = {"gumbel_temperature_end": 0.5, "gumbel_temperature_updates": 100}
    model, other = tiny_model("wav2vec2", conf=conf), tiny_model("wav2vec2", conf=conf)
    assert model.first.quantizer.temperature == 2.0
    for update in range(1, 52):
        model.before_update(update, seed=0)
    other.before_update(51, seed=3)  # resumed there
    assert model.first.quantizer.temperature == other.first.quantizer.temperature == pytest.approx(1.0)
    assert float(model(noise_batch(model))["wav2vec2"].stats["gumbel_temperature"].total) == pytest.approx(1.0)


def test_rows_of_other_lengths_and_a_row_without_a_task():
    model = tiny_model("wav2vec2")
    batch = noise_batch(model, (16000, 9000))
    draws = batch.draws["wav2vec2"]
    lengths = model.frontend.geometry.output_lengths(batch.wav_lengths)
    counts = (draws["positions"] >= 0).sum(1)
    assert counts[0] > counts[1] > 0 and (draws["positions"].amax(1) < lengths).all()
    alone = terms(model.eval(), noise_row(batch, 0, model)), terms(model, noise_row(batch, 1, model))
    both = terms(model, batch)
    torch.testing.assert_close(
        both["contrastive"].total, sum(term["contrastive"].total for term in alone), atol=1e-4, rtol=1e-5
    )
    nothing = {name: value.clone() for name, value in draws.items()}
    nothing["positions"][1] = -1
    total = terms(model, replace(batch, draws={"wav2vec2": nothing}))["contrastive"].total
    torch.testing.assert_close(total, alone[0]["contrastive"].total, atol=1e-4, rtol=1e-5)


def noise_row(batch, row, model):
    """One row of a batch by itself, with the draws it has there."""
    length = int(batch.wav_lengths[row])
    frames = int(model.frontend.geometry.output_lengths(length))
    draws = {name: value[row : row + 1] for name, value in batch.draws["wav2vec2"].items()}
    return replace(
        batch,
        wavs=batch.wavs[row : row + 1, :length],
        wav_lengths=batch.wav_lengths[row : row + 1],
        labels=None,
        utt_ids=batch.utt_ids[row : row + 1],
        draws={"wav2vec2": draws | {"mask": draws["mask"][:, :frames]}},
        is_padded=False,
    )


def test_utterances_must_be_longer_than_a_mask():
    model = tiny_model("wav2vec2")
    geometry = model.frontend.geometry
    assert geometry.output_lengths(model.first.draw.min_samples()) == 13  # 2 spans of 10 that overlap, and one to see
    shortest = model.first.draw(torch.full((50,), model.first.draw.min_samples()), (), torch.Generator().manual_seed(0))
    assert not shortest["mask"].all(1).any() and (shortest["mask"].sum(1) >= 10).all()


def test_codes_are_those_of_the_best_scores():
    model = tiny_model("wav2vec2")
    batch = noise_batch(model, (16000, 9000))
    model.train()
    batch_codes = model.first.codes(batch.wavs, batch.wav_lengths)
    assert model.training and model.frontend.training
    assert tuple(batch_codes.codes) == model.first.code_numbers == (1, 2)
    assert batch_codes.lengths.tolist() == model.frontend.geometry.output_lengths(batch.wav_lengths).tolist()
    features = model.frontend(batch.wavs, batch.wav_lengths).features
    ids = model.first.quantizer.eval()(features).ids
    alone = model.first.codes(batch.wavs[1:, :9000], batch.wav_lengths[1:])
    num_frames = int(batch_codes.lengths[1])
    for book, codes in batch_codes.codes.items():
        assert codes.dtype == torch.int64 and codes.shape == ids.shape[:2]
        assert torch.equal(codes[0], ids[0, :, book - 1])
        assert torch.equal(codes[1, :num_frames], alone.codes[book][0]) and (codes[1, num_frames:] == -1).all()


def test_groups_must_share_the_width():
    with pytest.raises(UserError, match="code_dim 9 is not a multiple of num_groups 2"):
        tiny_model("wav2vec2", conf={"code_dim": 9})


def test_watch_is_silent_on_healthy_figures():
    model = tiny_model("wav2vec2", conf={"num_codes": 16, "code_dim": 32})
    healthy = figures(model, noise_batch(model, (48000, 48000)))
    healthy["contrastive_accuracy"] = 0.15  # with 5 distractors, guessing gives 0.17
    assert model.first.warnings(healthy, 200) == []


def test_watch_names_the_figure_and_the_cures():
    model = tiny_model("wav2vec2", conf={"num_codes": 16, "code_dim": 32})
    batch = noise_batch(model, (48000, 48000))
    with torch.no_grad():
        model.first.quantizer.projection.bias[0] = 1000.0  # the first codebook says always the same
    collapsed = figures(model, batch)
    collapsed["contrastive_accuracy"] = 0.4
    (warning,) = model.first.warnings(collapsed, 200)
    assert warning.startswith("code_perplexity_1 is 1.0 of 16 codes, healthy is above 1.5")
    assert "lower lr" in warning and "diversity_weight" in warning
    assert model.first.warnings(collapsed, 199) == [], "random weights are no collapse"
    with torch.no_grad():
        model.first.quantizer.projection.bias[16] = 1000.0  # now the second one too: all targets are alike
    warnings = model.first.warnings(figures(model, batch), 200)
    assert any(warning.startswith("loss_contrastive is 0.000 nats") for warning in warnings)
    equal = figures(model, batch) | {"contrastive_accuracy": 0.0}
    assert any(warning.startswith("contrastive_accuracy is 0.00000") for warning in model.first.warnings(equal, 200))


def test_a_run_that_collapses_is_told_within_200_updates():
    """One code runs away from the others, little by little."""

    def push(model):
        with torch.no_grad():
            model.first.quantizer.projection.bias[0] += 1

    assert watch_training(tiny_model("wav2vec2"), 200) == []
    warnings = watch_training(tiny_model("wav2vec2"), 200, disturb=push)
    assert any("code_perplexity_1 is 1.0 of" in text and "lower lr" in text for text in warnings), warnings
