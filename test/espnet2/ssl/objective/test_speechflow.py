"""SpeechFlow's own rules: what the model sees, where the loss counts, figures by time, features."""

from dataclasses import replace

import pytest
import torch
from tiny_model import mean_loss, noise_batch, tiny_model

from espnet2.ssl.modules.flow import path_point


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def flow_model(**options):
    return tiny_model("speechflow", **options)


def only(model, batch):
    """The one loss of a batch."""
    return model(batch)["speechflow"]


def with_draws(batch, **changes):
    return replace(batch, draws={"speechflow": {**batch.draws["speechflow"], **changes}})


def figure(ratio):
    return float(ratio.total.detach() / ratio.count)


def seen_inputs(model, batch):
    """What goes into the input projection, and the draws."""
    caught = []
    hook = model.first.input_projection.register_forward_hook(lambda module, inputs, output: caught.append(inputs[0]))
    model(batch)
    hook.remove()
    noisy, shown = caught[0].chunk(2, dim=-1)
    return noisy, shown, batch.draws["speechflow"]


def test_the_condition_is_the_clean_mel_and_the_path_is_never_masked():
    model = flow_model()
    batch = noise_batch(model)
    noisy, shown, draws = seen_inputs(model, batch)
    mel, _ = model.frontend.analyse(batch.wavs, None)
    assert torch.equal(shown, torch.where(draws["hidden"][..., None], 0, mel)) and draws["hidden"].any()
    assert torch.equal(noisy, path_point(mel, draws["noise"], draws["time"], 1e-5).noisy)


def test_padding_is_zero_in_both_inputs():
    model = flow_model()
    noisy, shown, _ = seen_inputs(model, noise_batch(model, (16000, 9000)))
    frames = int(model.frontend.geometry.output_lengths(9000))
    assert noisy[1, :frames].all() and not noisy[1, frames:].any() and not shown[1, frames:].any()


def test_hidden_frames_reach_the_model_through_the_path_alone():
    """At time 0 the path is noise: nothing of a hidden frame can be known."""
    model = flow_model()
    batch = noise_batch(model)
    batch = with_draws(batch, time=torch.zeros(2))
    first, second = (model.frontend.analyse(wavs, None)[0] for wavs in (batch.wavs, batch.wavs.flip(1)))
    hidden = batch.draws["speechflow"]["hidden"]
    caught = []
    model.first.head.register_forward_hook(lambda module, inputs, output: caught.append(output))
    for mel in (first, torch.where(hidden[..., None], second, first), second):
        model.frontend.analyse = lambda wavs, lengths, mel=mel: (mel, lengths)
        model(batch)
    assert torch.equal(caught[0], caught[1]) and not torch.equal(caught[0], caught[2])


def test_loss_starts_at_two():
    """E[u^2] = E[x1^2] + (1 - sigma)^2 with a head that begins almost at zero; mels of unit power."""
    model = flow_model(frontend_conf={"num_mels": 80}, encoder_conf={"dim": 32})
    batch = noise_batch(model, (16000,) * 8)
    loss = only(model, batch)
    assert figure(loss.terms[0]) == pytest.approx(2.0, abs=0.02)
    assert figure(loss.stats["mel_power"]) == pytest.approx(1.0, abs=1e-3)


def test_loss_is_the_mean_square_over_frames_and_mels():
    model = flow_model()
    batch = noise_batch(model, (16000, 9000))
    draws = batch.draws["speechflow"]
    model.eval()
    mel, lengths = model.frontend.analyse(batch.wavs, batch.wav_lengths)
    point = path_point(mel, draws["noise"], draws["time"], 1e-5)
    shown = torch.where(draws["hidden"][..., None], 0, mel)
    error = (model.first.velocity(point.noisy, shown, draws["time"], lengths) - point.velocity).square()
    by_hand = torch.cat([error[0, : lengths[0]], error[1, : lengths[1]]]).mean()
    torch.testing.assert_close(mean_loss(model, batch), by_hand)


def test_statistics_are_those_of_their_frames():
    model = flow_model().eval()
    batch = noise_batch(model, (16000, 16000, 9000))
    hidden = batch.draws["speechflow"]["hidden"].clone()
    hidden[0] = True
    hidden[1, :50], hidden[1, 50:] = True, False
    time = torch.tensor([0.05, 0.55, 0.999])
    batch = with_draws(batch, hidden=hidden, dropped=torch.tensor([True, False, False]), time=time)
    loss = only(model, batch)
    counts = {name: int(ratio.count) for name, ratio in loss.stats.items()}
    valid, third = 97 + 97 + 53, int(hidden[2].sum())
    assert loss.terms[0].count == valid
    assert counts["dropped_error"] == 97 and counts["hidden_error"] == counts["condition_gain"] == 50 + third
    assert counts["visible_error"] == 47 + 53 - third and counts["mel_power"] == valid
    assert [counts[f"error_decile_{number}"] for number in range(10)] == [97, 0, 0, 0, 0, 97, 0, 0, 0, 53]
    total = float(loss.terms[0].total.detach())
    parts = ("dropped_error", "hidden_error", "visible_error")
    assert sum(float(loss.stats[name].total) for name in parts) == pytest.approx(total, rel=1e-5)
    deciles = sum(float(loss.stats[f"error_decile_{number}"].total) for number in range(10))
    assert deciles == pytest.approx(total, rel=1e-5)


def test_condition_gain_compares_the_same_noise():
    model = flow_model().eval()
    batch = noise_batch(model)
    batch = with_draws(batch, dropped=torch.zeros(2, dtype=torch.bool))
    gain = only(model, batch).stats["condition_gain"]
    assert float(gain.total.detach()) != 0
    with torch.no_grad():
        model.first.input_projection.weight[:, 20:] = 0  # of the shown half
    assert float(only(model, batch).stats["condition_gain"].total.detach()) == 0
    assert "condition_gain" not in only(model.train(), batch).stats  # it costs a second forward pass


def test_validation_is_fixed():
    model = flow_model().eval()
    batch = noise_batch(model)
    torch.manual_seed(1)
    first = mean_loss(model, batch)
    torch.manual_seed(2)
    assert torch.equal(first, mean_loss(model, batch))


def test_loss_region():
    everywhere, masked = flow_model(), flow_model(conf={"loss_region": "masked"})
    batch = noise_batch(masked)
    hidden = batch.draws["speechflow"]["hidden"]
    loss = only(masked, batch)
    assert loss.terms[0].count == hidden.sum() == masked.first.counts(batch)["flow"]
    assert loss.terms[0].count < only(everywhere, batch).terms[0].count
    assert figure(loss.terms[0]) == pytest.approx(figure(only(everywhere, batch).stats["hidden_error"]), rel=1e-6)
    batch = with_draws(batch, hidden=torch.ones_like(hidden), dropped=torch.ones(2, dtype=torch.bool))
    assert torch.equal(mean_loss(masked, batch), mean_loss(everywhere, batch))


def test_one_time_per_utterance_and_a_tenth_of_the_conditions_dropped():
    model = flow_model()
    draw = model.first.draw
    lengths = torch.full((5000,), draw.geometry.num_samples(30))
    draws = draw(lengths, [""] * 5000, torch.Generator().manual_seed(0))
    assert draws["time"].shape == (5000,) and draws["time"].mean().item() == pytest.approx(0.5, abs=0.015)
    assert draws["dropped"].double().mean().item() == pytest.approx(0.1, abs=0.01)
    assert draws["hidden"][draws["dropped"]].all()
    noise = draws["noise"]
    assert noise.shape == (5000, 30, 20) and noise.std().item() == pytest.approx(1.0, abs=0.01)
    assert draw.min_samples() == 640 + 9 * 160  # the mask span


def test_gradient_reaches_everything_from_the_first_update():
    model = flow_model(conf={"time_mlp": True})
    mean_loss(model, noise_batch(model)).backward()
    assert not list(model.frontend.parameters())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_skips_that_pass_the_current_frame_change_nothing():
    skipping, plain = flow_model(), flow_model(encoder_conf={"num_layers": 4})
    skipping = flow_model(encoder_conf={"num_layers": 4})
    plain.encoder.skips = None
    missing = skipping.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert len(missing) == 4 and all(name.startswith("encoder.skips.") for name in missing)
    dim, batch = skipping.encoder.dim, noise_batch(skipping)
    with torch.no_grad():
        for skip in skipping.encoder.skips:
            skip.weight.copy_(torch.cat([torch.eye(dim), torch.zeros(dim, dim)], dim=1))
            skip.bias.zero_()
    torch.testing.assert_close(mean_loss(skipping, batch), mean_loss(plain, batch), atol=1e-6, rtol=1e-6)
    with torch.no_grad():
        skipping.encoder.skips[0].weight[:, dim:] = torch.eye(dim)
    assert (mean_loss(skipping, batch) - mean_loss(plain, batch)).abs() > 1e-6


def test_the_time_matters():
    model = flow_model()
    noisy, shown = torch.randn(2, 1, 30, 20, generator=torch.Generator().manual_seed(0)).unbind(0)
    early, late = (model.first.velocity(noisy, shown, torch.tensor([time]), None) for time in (0.1, 0.9))
    assert early.shape == (1, 30, 20) and (early - late).abs().max() > 1e-6


def test_bf16_loss_is_near_the_float32_one():
    model = flow_model()
    batch = noise_batch(model, (16000, 9000))
    expected = mean_loss(model, batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = mean_loss(model, batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, atol=0.02, rtol=0.02)


def extracted(model, wavs, lengths, layers=(0, 1, 2), **options):
    return model.first.extract(wavs, torch.tensor(lengths), layers, **options)


@pytest.mark.parametrize("condition", ["clean", "none"])
def test_extract_takes_the_clean_mel_as_path_and_condition(condition):
    model = flow_model(conf={"extract_condition": condition})
    batch = noise_batch(model)
    layers, lengths = extracted(model, batch.wavs, [16000, 16000])
    mel, _ = model.frontend.analyse(batch.wavs, None)
    x = model.first.input_projection(torch.cat([mel, mel if condition == "clean" else 0 * mel], dim=-1))
    token = model.first.time_token(torch.ones(2))
    expected = model.encoder(x, None, prefix=token, layers=(0, 1, 2)).layers
    assert lengths.tolist() == [97, 97]
    for number, layer in enumerate(layers):
        torch.testing.assert_close(layer, expected[number][:, 1:], atol=1e-6, rtol=1e-6)
    branch, _ = extracted(model, batch.wavs, [16000, 16000], (1,), branch="feed_forward")
    assert branch[0].shape == layers[1].shape and not torch.equal(branch[0], layers[1])


@pytest.mark.parametrize("time", [1.0, 0.5])
def test_extract_does_not_depend_on_company_or_padding(time):
    model = flow_model(conf={"extract_time": time})
    wavs = noise_batch(model, (9000, 16000)).wavs
    together, _ = extracted(model, wavs, [9000, 16000])
    alone, lengths = extracted(model, wavs[:1, :9000], [9000])
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first[:1, : lengths[0]], second, atol=1e-5, rtol=1e-5)


def test_extract_time_puts_the_mel_on_the_path():
    features = {}
    for time in (1.0, 0.5, 0.0):
        model = flow_model(conf={"extract_time": time})
        features[time] = extracted(model, noise_batch(model).wavs, [16000, 16000], (0,))[0][0]
    assert not torch.equal(features[1.0], features[0.5]) and not torch.equal(features[0.5], features[0.0])
