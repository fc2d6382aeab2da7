"""Every file in objective/ must pass these, whatever its method; a new file is found by itself."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from tiny_model import mean_loss, noise_batch, seeded_forward, tiny_model
from torch.nn import functional as F

from espnet2.data.labels.packed import NO_LABEL
from espnet2.ssl.objective import objective_class, objective_names
from espnet2.ssl.objective.base import LabelledConfig
from espnet2.tasks.config import resolve_config
from espnet2.utils.errors import UserError

FIXED_TARGETS = [name for name in objective_names() if not objective_class(name).target_moves]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(params=objective_names())
def model(request):
    return tiny_model(request.param)


@pytest.fixture(params=objective_names())
def conv_model(request):
    return tiny_model(request.param, frontend="conv")


@pytest.mark.parametrize("name", objective_names())
def test_what_needs_labels_has_a_key_for_their_number(name):
    assert objective_class(name).needs_labels == issubclass(objective_class(name).Config, LabelledConfig)


def test_loss_reaches_every_parameter_of_the_shared_parts(conv_model):
    mean_loss(conv_model, noise_batch(conv_model)).backward()
    for part in (conv_model.frontend, conv_model.encoder):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        parameters = list(part.parameters())  # a frontend whose frames an objective projects itself may have none
        assert not parameters or any(parameter.grad.abs().sum() > 0 for parameter in parameters)


def test_counts_are_known_before_the_forward_pass(conv_model):
    batch = noise_batch(conv_model, (16000, 12000))
    for name, loss in conv_model(batch).items():
        counts = conv_model.objectives[name].counts(batch)
        assert {term.name: float(term.count) for term in loss.terms} == {k: float(v) for k, v in counts.items()}
        assert all(count.dtype == torch.float64 and count > 0 for count in counts.values())
        assert all(term.total.ndim == 0 and term.total.dtype == torch.float32 for term in loss.terms)


def test_statistics_are_detached_sums(model):
    for loss in model(noise_batch(model)).values():
        for ratio in loss.stats.values():
            assert not ratio.total.requires_grad
            assert ratio.total.ndim == ratio.count.ndim == 0


def test_state_dict_round_trip(model):
    batch = noise_batch(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(model.state_dict())
    assert torch.equal(mean_loss(model, batch), mean_loss(other, batch))


@pytest.mark.parametrize("name", FIXED_TARGETS)
def test_learns_one_batch(name):
    model = tiny_model(name)
    batch = noise_batch(model)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    first = mean_loss(model, batch)
    for update in range(1, 41):
        model.before_update(update, seed=0)
        optimizer.zero_grad()
        mean_loss(model, batch).backward()
        optimizer.step()
        model.after_step(update)
    assert mean_loss(model, batch) < 0.9 * first


def test_forward_changes_no_state(model):
    def state() -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in (*model.named_parameters(), *model.named_buffers())}

    before = state()
    model(noise_batch(model))
    for name, value in state().items():
        assert torch.equal(before[name], value), name


def test_draws_are_pure_and_travel_to_a_worker(model):
    lengths, utt_ids = torch.tensor([16000, 9000, 640]), ("a", "b", "c")
    for objective in model.objectives.values():
        torch.manual_seed(1)
        drawn = objective.draw(lengths, utt_ids, torch.Generator().manual_seed(3))
        torch.manual_seed(2)  # a draw from torch's global generator would show
        state = torch.random.get_rng_state()
        again = pickle.loads(pickle.dumps(objective.draw))(lengths, utt_ids, torch.Generator().manual_seed(3))
        assert torch.equal(state, torch.random.get_rng_state())
        assert drawn.keys() == again.keys()
        assert all(torch.equal(drawn[key], again[key]) for key in drawn)
        other = objective.draw(lengths, utt_ids, torch.Generator().manual_seed(4))
        assert not drawn or any(not torch.equal(drawn[key], other[key]) for key in drawn)
        assert lengths.tolist() == [16000, 9000, 640]
        assert objective.draw.min_samples() >= 1


@pytest.mark.parametrize("frontend_conf", [{"norm": "group"}, {"norm": "layer"}])
@pytest.mark.parametrize("name", objective_names())
def test_padding_changes_nothing(name, frontend_conf):
    """More padding, and noise in place of zeros there, leave the loss as it was."""
    model = tiny_model(name, frontend="conv", frontend_conf=frontend_conf)
    batch = noise_batch(model, (16000, 11000))
    wavs = F.pad(batch.wavs, (0, 4000))
    padding = torch.arange(wavs.size(1)) >= batch.wav_lengths[:, None]
    wavs = torch.where(padding, torch.randn(wavs.shape), wavs)
    frames = model.frontend.geometry.output_lengths(wavs.size(1))
    labels = F.pad(batch.labels, (0, frames - batch.labels.size(1)), value=NO_LABEL)
    padded = replace(batch, wavs=wavs, labels=labels)
    for name, loss in seeded_forward(model, batch).items():
        for term, other in zip(loss.terms, seeded_forward(model, padded)[name].terms, strict=True):
            torch.testing.assert_close(term.total, other.total, rtol=1e-5, atol=1e-5)
            assert term.count == other.count


@pytest.mark.parametrize("name", objective_names())
def test_trains_with_dropout_and_where_it_is_legal_with_layerdrop(name):
    """Whatever is left out in an update: replicas wait for a gradient of every trained parameter."""
    dropout = {"dropout": 0.1, "attention_dropout": 0.1}
    try:
        model = tiny_model(name, encoder_conf={**dropout, "layerdrop": 0.5})
    except UserError as error:
        assert "set encoder_conf: layerdrop to 0" in str(error)
        model = tiny_model(name, encoder_conf={**dropout, "layerdrop": 0.0})
    for update in range(1, 5):
        model.before_update(update, seed=0)
        model.zero_grad()
        mean_loss(model, noise_batch(model)).backward()
        missing = [key for key, value in model.named_parameters() if value.requires_grad and value.grad is None]
        assert not missing


def test_skipped_update_leaves_no_trace(model):
    """Forward and backward without a step, as for a loss that is not finite, then an update: as without the first."""
    other = copy.deepcopy(model)
    for trained, seeds in ((model, (7, 0)), (other, (0,))):
        for seed in seeds:
            trained.zero_grad()
            trained.before_update(1, seed=0)
            mean_loss(trained, noise_batch(trained, seed=seed)).backward()
        with torch.no_grad():
            for parameter in trained.parameters():
                if parameter.requires_grad:
                    parameter -= 0.1 * parameter.grad
        trained.after_step(1)
    state = other.state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_extract_gives_layers_and_leaves_the_mode_alone(model):
    model.train()
    layers, lengths = model.first.extract(torch.randn(2, 16000), torch.tensor([16000, 9000]), [2, 0])
    assert model.training and model.encoder.training
    frames = model.frontend.geometry.output_lengths(16000)
    assert [tuple(layer.shape) for layer in layers] == [(2, frames, model.encoder.dim)] * 2
    assert lengths.tolist() == model.frontend.geometry.output_lengths(torch.tensor([16000, 9000])).tolist()
    with pytest.raises(UserError, match="no layer 3; it has layers 0 to 2"):
        model.first.extract(torch.randn(1, 16000), torch.tensor([16000]), [3])


def test_codes_are_those_that_the_method_promises(conv_model):
    objective, batch = conv_model.first, noise_batch(conv_model)
    assert bool(objective.code_numbers) == (objective.num_codes > 0)
    if not objective.code_numbers:
        with pytest.raises(UserError, match="no codes of its own"):
            objective.codes(batch.wavs, batch.wav_lengths)
        return
    batch_codes = objective.codes(batch.wavs, batch.wav_lengths)
    assert tuple(batch_codes.codes) == objective.code_numbers
    for ids in batch_codes.codes.values():
        valid = torch.arange(ids.size(1)) < batch_codes.lengths[:, None]
        assert (ids[~valid] == -1).all() and ids[valid].min() >= 0 and ids[valid].max() < objective.num_codes


@pytest.mark.parametrize("name", objective_names())
def test_unknown_key_is_refused_with_the_nearest(name):
    known = next(iter(objective_class(name).Config.model_fields))
    with pytest.raises(UserError, match=f"unknown key '{known}s'; did you mean '{known}'"):
        resolve_config({"loss": [{"name": name, "conf": {f"{known}s": 1}}]})


def test_unknown_objective_lists_the_files():
    with pytest.raises(UserError, match=r"unknown objective 'huburt'; did you mean 'hubert'\? known are .*hubert"):
        objective_class("huburt")
