"""Low-rank adapters in every encoder and under every objective: nothing at first, merged the same, alone or not."""

from dataclasses import replace

import pytest
import torch
from tiny_model import ENCODERS, mean_loss, noise_batch, tiny_config, tiny_model
from torch import nn
from torch.nn import functional as F

from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.adapt import LoraConfig, LoraLinear, adapt_model, is_adapter, merge_adapters
from espnet2.ssl.encoder import encoder_class, encoder_names
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective import objective_names
from espnet2.tasks.build import build
from espnet2.tasks.config import dump_config, load_config
from espnet2.train.compiled import compile_forward
from espnet2.train.identity import describe_run
from espnet2.utils.errors import UserError

LORA = {"rank": 3, "alpha": 6.0}
FRAMES = torch.randn(2, 30, 16, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([30, 21])


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def encoder_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    conf = encoder_class(name).Config(**ENCODERS[name])
    return encoder_class(name)(conf).eval()


def linear_names(encoder: nn.Module) -> set[str]:
    names = {name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)}
    return {".".join(part for part in name.split(".")[1:] if not part.isdigit()) for name in names}


def shake(module: nn.Module) -> None:
    """Adapters that do something."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("lora_up"):
                parameter.normal_(std=0.1)


def adapted_model(objective: str = "hubert", **options) -> SSLModel:
    """The tiny model of an objective with adapters, built as a training builds it."""
    plain = tiny_model(objective, **options)
    config = tiny_config(objective, **options)
    config = config.model_copy(update={"adapt": "lora", "adapt_conf": LoraConfig(**LORA)})
    torch.manual_seed(0)
    model = build(config)
    if objective == "distilhubert":
        model.first.take_teacher(plain.first.teacher)
    return model


@pytest.mark.parametrize("name", encoder_names())
def test_every_linear_layer_of_every_encoder_can_have_one(name):
    plain, encoder = encoder_of(name), encoder_of(name)
    config = LoraConfig(**LORA, targets=tuple(linear_names(encoder)))
    count = adapt_model("lora", config, nn.Identity(), encoder)
    assert count == sum(isinstance(module, LoraLinear) for module in encoder.modules()) >= 8
    assert all(isinstance(module, LoraLinear) for module in encoder.modules() if isinstance(module, nn.Linear))
    before = plain(FRAMES, LENGTHS, layers=[1, 2]).layers
    at_first = encoder(FRAMES, LENGTHS, layers=[1, 2]).layers
    assert all(torch.equal(before[layer], at_first[layer]) for layer in before)
    shake(encoder)
    changed = encoder(FRAMES, LENGTHS, layers=[1, 2]).layers
    assert not torch.allclose(before[2], changed[2], atol=1e-2)
    merged = merge_adapters(encoder.state_dict())
    assert merged.keys() == plain.state_dict().keys()
    plain.load_state_dict(merged)
    for layer, values in plain(FRAMES, LENGTHS, layers=[1, 2]).layers.items():
        torch.testing.assert_close(values, changed[layer], rtol=1e-5, atol=1e-5)


def test_the_difference_is_that_of_the_paper():
    """Equation 3: W x + alpha / rank * B A x."""
    linear = nn.Linear(5, 7)
    adapted = LoraLinear(linear, LoraConfig(rank=2, alpha=3.0))
    shake(adapted)
    x = torch.randn(4, 5)
    expected = x @ (linear.weight + 1.5 * adapted.lora_up @ adapted.lora_down).T + linear.bias
    torch.testing.assert_close(adapted(x), expected)
    assert adapted.weight is linear.weight and adapted.lora_down.abs().max() <= 5**-0.5


@pytest.mark.parametrize("objective", objective_names())
def test_every_objective_trains_adapters_alone(objective):
    """Every trained parameter gets a gradient, the base none, and no teacher moves what the base is."""
    model = adapted_model(objective)
    base = {name: value.clone() for name, value in model.state_dict().items() if not is_adapter(name)}
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(is_adapter(name) for name in trained if name.startswith(("frontend.", "encoder.")))
    assert sum(is_adapter(name) for name in trained) == 8  # down and up, of two layers, in two blocks
    for update in (1, 2):
        model.zero_grad()
        model.before_update(update, seed=0)
        mean_loss(model, noise_batch(model, (16000, 12000))).backward()
        for name, parameter in model.named_parameters():
            assert (parameter.grad is not None) == (name in trained), name
        with torch.no_grad():
            for name in trained:
                parameter = model.get_parameter(name)
                parameter -= 0.1 * parameter.grad
        model.after_step(update)
    for name, value in model.state_dict().items():
        if name.startswith(("frontend.", "encoder.")) and not is_adapter(name):
            assert torch.equal(value, base[name]), name
    moved = [model.get_parameter(name) for name in trained if name.endswith("lora_up")]
    assert all(up.abs().sum() > 0 for up in moved)
    plain = tiny_model(objective)
    plain.load_state_dict(merge_adapters(model.state_dict()))
    wavs, lengths = 0.1 * torch.randn(2, 9000), torch.tensor([9000, 7000])
    for ours, theirs in zip(
        model.first.extract(wavs, lengths, [1, 2])[0], plain.first.extract(wavs, lengths, [1, 2])[0], strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_with_the_rest_all_learn():
    encoder, frontend = encoder_of("transformer"), nn.Linear(2, 2)
    adapt_model("lora", LoraConfig(**LORA, alone=False), frontend, encoder)
    assert all(p.requires_grad for part in (encoder, frontend) for p in part.parameters())


def test_padding_changes_nothing():
    model = adapted_model(frontend="conv")
    shake(model)
    batch = noise_batch(model, (16000, 11000))
    wavs = F.pad(batch.wavs, (0, 4000))
    noise = torch.arange(wavs.size(1)) >= batch.wav_lengths[:, None]
    wavs = torch.where(noise, torch.randn(wavs.shape), wavs)
    more = model.frontend.geometry.output_lengths(wavs.size(1)) - batch.labels.size(1)
    padded = replace(batch, wavs=wavs, labels=F.pad(batch.labels, (0, more), value=NO_LABEL))
    assert mean_loss(model, batch).item() == pytest.approx(mean_loss(model, padded).item(), rel=1e-5)


def test_one_graph_of_a_model_with_adapters():
    torch._dynamo.reset()
    model, plain = adapted_model("dinosr"), adapted_model("dinosr")
    compile_forward(model, required=True, backend="eager")
    batch = noise_batch(model, (16000, 12000))
    for one in (model, plain):
        one.train().before_update(1, seed=0)
        mean_loss(one, batch).backward()
    for name, parameter in plain.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(model.get_parameter(name).grad, parameter.grad, rtol=1e-4, atol=1e-6)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"targets": ("query",)}, "no linear layer 'query'; it has attention.output, attention.qkv, ffn_in, ffn_out"),
        ({"targets": ("attention.qkv", "kv")}, "no linear layer 'kv'"),
        ({"rank": 17}, "rank is 17, but blocks.0.attention.qkv maps 16 to 48 values"),
    ],
)
def test_what_an_encoder_has_not_is_refused_and_nothing_is_frozen(conf, message):
    encoder = encoder_of("transformer")
    with pytest.raises(UserError, match=message):
        adapt_model("lora", LoraConfig(**conf), nn.Identity(), encoder)
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert not any(isinstance(module, LoraLinear) for module in encoder.modules())


def test_a_config_without_adapters_is_the_config_of_before(tmp_path):
    config = tiny_config()
    assert "adapt" not in dump_config(config) and "adapt" not in describe_run(config, {}, {})["config"]
    adapted = config.model_copy(update={"adapt": "lora", "adapt_conf": LoraConfig(rank=2)})
    (tmp_path / "train.yaml").write_text(dump_config(adapted))
    assert load_config(tmp_path / "train.yaml") == adapted
    assert adapted.without_adapters() == config
    saved = describe_run(adapted, {}, {})["config"]
    assert saved["adapt"] == "lora" and saved["adapt_conf"]["rank"] == 2
    for words, message in (
        (["--adapt", "lor"], "'none' or 'lora'"),
        (["--adapt_conf", "ranks=2"], "did you mean 'rank'"),
    ):
        with pytest.raises(UserError, match=message):
            load_config(tmp_path / "train.yaml", words)
