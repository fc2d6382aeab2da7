"""Flow matching's bricks against closed forms: path, way back, share and runs of what is hidden, time token."""

import math

import pytest
import torch

from espnet2.ssl.modules.flow import TimeToken, draw_condition_mask, integrate, path_point

SIGMA = 1e-5


def test_path_and_velocity_of_the_sheet():
    noise, data = torch.tensor([[[1.0, -1.0]]]), torch.tensor([[[0.5, 2.0]]])
    noisy, velocity = path_point(data, noise, torch.tensor([0.25]), SIGMA)
    torch.testing.assert_close(noisy, torch.tensor([[[0.8750025, -0.2500025]]]), atol=1e-7, rtol=0)
    torch.testing.assert_close(velocity, torch.tensor([[[-0.49999, 2.99999]]]), atol=1e-6, rtol=0)


def test_path_starts_at_noise_and_ends_at_data():
    noise, data = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).unbind(0)
    noise, data = noise[:, None], data[:, None]
    assert torch.equal(path_point(data, noise, torch.zeros(3), SIGMA).noisy, noise)
    assert torch.equal(path_point(data, noise, torch.ones(3), SIGMA).noisy, SIGMA * noise + data)


def test_time_belongs_to_the_row():
    noise, data = torch.zeros(2, 4, 3), torch.ones(2, 4, 3)
    noisy = path_point(data, noise, torch.tensor([0.25, 0.75]), SIGMA).noisy
    assert torch.equal(noisy[:, 0, 0], torch.tensor([0.25, 0.75])) and torch.equal(noisy, noisy[:, :1, :1] * data)


def test_velocity_is_the_derivative_of_the_path():
    noise, data = (torch.randn(1, 7, 5, generator=torch.Generator().manual_seed(seed)).double() for seed in (0, 1))
    times = torch.tensor([[0.4], [0.4 + 1e-3]], dtype=torch.float64)
    early, late = (path_point(data, noise, time, SIGMA) for time in times)
    torch.testing.assert_close((late.noisy - early.noisy) / 1e-3, early.velocity, atol=1e-9, rtol=0)


@pytest.mark.parametrize("method", ["midpoint", "euler"])
@pytest.mark.parametrize("num_steps", [1, 3, 16])
def test_the_exact_velocity_leads_to_the_data(method, num_steps):
    noise, data = (torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    velocity = path_point(data, noise, torch.zeros(2), SIGMA).velocity
    end = integrate(lambda x, time: velocity, noise, num_steps, method)
    torch.testing.assert_close(end, data + SIGMA * noise, atol=1e-6, rtol=0)


def test_midpoint_is_of_second_order_and_euler_of_first():
    def error(method: str, num_steps: int) -> float:
        end = integrate(lambda x, time: x * math.cos(time), torch.ones(1).double(), num_steps, method)
        return abs(float(end) - math.exp(math.sin(1.0)))

    assert error("euler", 20) / error("euler", 40) == pytest.approx(2, rel=0.1)
    assert error("midpoint", 20) / error("midpoint", 40) == pytest.approx(4, rel=0.1)


def test_no_evaluation_at_or_beyond_the_end():
    for method, expected in (("euler", [0.0, 0.25, 0.5, 0.75]), ("midpoint", [i / 8 for i in range(8)])):
        times = []
        integrate(lambda x, time, times=times: times.append(time) or x, torch.ones(1), 4, method)
        assert times == expected


def runs(row: list[bool]) -> list[int]:
    """Lengths of the maximal runs of True."""
    text = "".join("x" if hidden else " " for hidden in row)
    return [len(run) for run in text.split()]


def draw(lengths, *, low=0.7, high=1.0, span=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return draw_condition_mask(torch.tensor(lengths), low=low, high=high, span=span, generator=generator)


def test_share_and_runs_of_ten_thousand_draws():
    shares, shortest = [], 1000
    for seed in range(10):
        mask = draw([1000] * 1000, seed=seed)
        shares.append(mask.double().mean(1))
        edges = torch.nn.functional.pad(mask.int(), (1, 1)).diff(dim=1)
        starts, ends = (edges == 1).nonzero()[:, 1], (edges == -1).nonzero()[:, 1]
        shortest = min(shortest, int((ends - starts).min()))
    shares = torch.cat(shares)
    assert shares.mean().item() == pytest.approx(0.85, abs=0.01)
    assert shares.min() >= 0.7 and shares.max() == 1.0
    assert shortest >= 10
    # Uniform in between: every tenth of the range has a tenth of the draws.
    counts = torch.histc(shares, 10, 0.7, 1.0001) / len(shares)
    assert (counts - 0.1).abs().max() < 0.02


def test_every_share_is_reached_and_hardly_passed():
    for share in (0.0, 0.3, 0.7, 0.95, 1.0):
        hidden = draw([200] * 50, low=share, high=share).sum(1)
        least_hidden = max(1, round(share * 200))
        assert (hidden >= least_hidden).all() and (hidden <= least_hidden + 9).all()


def test_rows_are_masked_by_their_own_length():
    lengths = [400, 100, 25, 10, 7, 1]
    for seed in range(20):
        mask = draw(lengths, seed=seed)
        assert mask.shape == (6, 400)
        for row, length in zip(mask.tolist(), lengths, strict=True):
            assert not any(row[length:])
            assert sum(row) >= min(length, math.floor(0.7 * length))
            assert all(run >= min(10, length) for run in runs(row))
    assert draw([7]).all()  # an utterance shorter than the span is hidden whole


def test_every_frame_may_be_hidden_and_shown():
    share = torch.cat([draw([40] * 500, seed=seed) for seed in range(4)]).double().mean(0)
    assert 0.25 < share.min() < 0.4 and 0.9 < share.max() < 1  # the edges, covered by few spans, less than the middle


def test_time_token_is_the_scaled_sinusoid():
    token = TimeToken(6, scale=1000.0, mlp=False)
    assert token(torch.tensor([0.0, 0.5])).shape == (2, 1, 6)
    assert torch.equal(token(torch.zeros(1))[0, 0], torch.tensor([0.0, 0, 0, 1, 1, 1]))
    angles = [500.0, 500 / 10000 ** (1 / 3), 500 / 10000 ** (2 / 3)]
    expected = [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]
    torch.testing.assert_close(token(torch.tensor([0.5]))[0, 0], torch.tensor(expected), atol=1e-4, rtol=0)
    assert not list(token.parameters()) and TimeToken(5, scale=1.0, mlp=False)(torch.rand(2)).shape == (2, 1, 5)


def test_time_token_tells_times_apart():
    times = torch.linspace(0, 1, 101)
    waves = TimeToken(64, scale=1000.0, mlp=False)(times)[:, 0]
    distance = torch.cdist(waves, waves) + 10 * torch.eye(101)
    assert distance.min() > 1.0


def test_time_token_with_layers_learns():
    token = TimeToken(8, scale=1000.0, mlp=True)
    token(torch.rand(3)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in token.parameters())
