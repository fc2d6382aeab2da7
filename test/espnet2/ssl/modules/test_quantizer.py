"""Quantizer, distractors and their scores: closed forms, transformers' quantizer, and what a draw must keep."""

import math

import pytest
import torch
from torch.nn import functional as F
from transformers import Wav2Vec2Config
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

from espnet2.ssl.modules.codebook import perplexity
from espnet2.ssl.modules.contrastive import ContrastiveHead, count_first_is_best
from espnet2.ssl.modules.masking import draw_span_mask, equalise_rows
from espnet2.ssl.modules.negatives import NO_POSITION, draw_negatives, masked_positions
from espnet2.ssl.modules.quantizer import GumbelQuantizer, Quantized, mean_distribution, temperature_at


@pytest.fixture(autouse=True)
def _seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_perplexities_of_the_sheet():
    """One group of three codes, logits (2, 0, 0) and (0, 2, 0): soft 2.60771, hard 2.0, unused share 0.13076."""
    logits = torch.tensor([[[[2.0, 0, 0]], [[0.0, 2, 0]], [[9.0, 0, 0]]]])
    valid = torch.tensor([[True, True, False]])  # a filled-up frame does not count
    soft = perplexity(mean_distribution(logits.softmax(-1), valid))
    assert soft.item() == pytest.approx(2.60771, abs=1e-5)
    assert (3 - soft.item()) / 3 == pytest.approx(0.13076, abs=1e-5)
    hard = F.one_hot(logits.argmax(-1), 3).float()
    assert perplexity(mean_distribution(hard, valid)).item() == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_is_the_quantizer_of_transformers(training):
    """The same noise in training, the best code in evaluation; vectors, perplexity and gradients agree."""
    quantizer = GumbelQuantizer(10, num_groups=2, num_codes=5, code_dim=6).train(training)
    quantizer.temperature.fill_(1.7)
    other = Wav2Vec2GumbelVectorQuantizer(
        Wav2Vec2Config(conv_dim=(10,) * 7, num_codevectors_per_group=5, num_codevector_groups=2, codevector_dim=6)
    ).train(training)
    other.temperature = 1.7
    with torch.no_grad():
        other.codevectors.copy_(quantizer.codes.flatten(0, 1)[None])
        other.weight_proj.load_state_dict(quantizer.projection.state_dict())
    x = 0.3 * torch.randn(2, 7, 10)
    torch.manual_seed(1)
    quantized = quantizer(x)
    torch.manual_seed(1)
    vectors, theirs = other(x)
    torch.testing.assert_close(quantized.vectors, vectors, atol=1e-5, rtol=1e-5)
    chosen = torch.stack([quantizer.codes[group][quantized.ids[..., group]] for group in range(2)], dim=2)
    torch.testing.assert_close(quantized.vectors, chosen.flatten(2), atol=1e-6, rtol=1e-6)
    everywhere = torch.ones(2, 7, dtype=torch.bool)
    probabilities = quantized.logits.softmax(-1) if training else F.one_hot(quantized.ids, 5).float()
    found_perplexity = perplexity(mean_distribution(probabilities, everywhere)).sum()
    torch.testing.assert_close(found_perplexity, theirs, atol=1e-5, rtol=1e-5)
    weights = torch.randn(2, 7, 6)
    (quantized.vectors * weights).sum().backward()
    (vectors * weights).sum().backward()
    torch.testing.assert_close(quantizer.codes.grad.flatten(0, 1)[None], other.codevectors.grad)
    if training:
        torch.testing.assert_close(quantizer.projection.weight.grad, other.weight_proj.weight.grad)
        assert quantizer.projection.weight.grad.abs().sum() > 0
    else:
        assert quantizer.projection.weight.grad is None, "an argmax has no gradient"


def test_initial_values_are_fairseqs():
    quantizer = GumbelQuantizer(64, num_groups=2, num_codes=100, code_dim=64)
    weight = quantizer.projection.weight
    assert weight.mean().item() == pytest.approx(0, abs=0.03) and weight.std().item() == pytest.approx(1, abs=0.03)
    assert (quantizer.projection.bias == 0).all()
    codes = quantizer.codes
    assert codes.min() >= 0 and codes.max() <= 1 and codes.mean().item() == pytest.approx(0.5, abs=0.01)


def test_training_samples_and_evaluation_does_not():
    quantizer = GumbelQuantizer(4, num_groups=1, num_codes=8, code_dim=4)
    x = 0.1 * torch.randn(1, 200, 4)
    assert not torch.equal(quantizer(x).ids, quantizer(x).ids)
    state = torch.random.get_rng_state()
    quantizer.eval()
    assert torch.equal(quantizer(x).ids[..., 0], quantizer.score(x)[..., 0, :].argmax(-1))
    assert torch.equal(state, torch.random.get_rng_state())


def test_computes_in_float32_under_autocast():
    quantizer = GumbelQuantizer(32, num_groups=1, num_codes=8, code_dim=4).eval()
    x = torch.randn(1, 50, 32)
    expected = quantizer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantized = quantizer(x)
    assert torch.equal(quantized.logits, expected.logits) and torch.equal(quantized.vectors, expected.vectors)


def test_a_code_that_is_never_used_gives_no_infinite_gradient():
    logits = torch.tensor([[[[300.0, 0.0, -300.0]]]], requires_grad=True)
    perplexity(mean_distribution(logits.softmax(-1), torch.ones(1, 1, dtype=torch.bool))).sum().backward()
    assert logits.grad.isfinite().all()


def test_temperature_is_a_function_of_the_update():
    base = {"start": 2.0, "end": 0.5, "num_updates": 277_258}
    assert temperature_at(1, **base) == 2.0
    assert temperature_at(2, **base) / 2.0 == pytest.approx(0.999995, abs=1e-10)
    assert temperature_at(277_259, **base) == temperature_at(10**6, **base) == pytest.approx(0.5)
    assert temperature_at(277_000, **base) == pytest.approx(2.0 * 0.999995**276_999, rel=1e-5)
    assert temperature_at(277_000, **base) > 0.5
    large = {"start": 2.0, "end": 0.1, "num_updates": 599_145}
    assert math.log(temperature_at(2, **large) / 2.0) == pytest.approx(math.log(0.999995), rel=1e-5)


def test_positions_are_the_masked_frames_in_order():
    mask = torch.tensor([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()
    assert masked_positions(mask).tolist() == [
        [1, 2, 4],
        [0, 1, NO_POSITION],
        [NO_POSITION] * 3,  # nothing to tell a single frame from
        [NO_POSITION] * 3,
    ]
    nothing = torch.zeros(2, 4, dtype=torch.bool)
    assert masked_positions(nothing).shape == (2, 0)
    assert draw_negatives(nothing, 3, torch.Generator()).shape == (2, 0, 3)


def test_negatives_are_other_masked_frames_of_the_row():
    lengths = torch.tensor([499, 200, 30])
    generator = torch.Generator().manual_seed(0)
    mask = draw_span_mask(lengths, mask_prob=0.65, mask_span=10, min_spans=2, generator=generator)
    positions, negatives = masked_positions(mask), draw_negatives(mask, 100, generator)
    assert negatives.shape == (*positions.shape, 100)
    for row, count in enumerate(mask.sum(1).tolist()):
        frames = positions[row][negatives[row, :count]]  # (masked, 100) frame numbers
        assert mask[row][frames].all(), "only masked frames, never padding"
        assert (frames != positions[row, :count, None]).all(), "never the frame itself"
        assert set(range(count)) == set(negatives[row, :count].flatten().tolist()), "the first and the last too"
        assert (negatives[row, count:] == 0).all()


def test_negatives_are_uniform_and_drawn_with_replacement():
    mask = torch.ones(1, 5, dtype=torch.bool)
    negatives = draw_negatives(mask, 40_000, torch.Generator().manual_seed(1))[0]
    for frame in range(5):
        shares = torch.bincount(negatives[frame], minlength=5) / 40_000
        assert shares[frame] == 0
        assert (shares[[other for other in range(5) if other != frame]] - 0.25).abs().max() < 0.012


@pytest.mark.parametrize(("prob", "span", "frames", "share"), [(0.65, 10, 499, 0.49), (0.65, 10, 250, 0.49)])
def test_the_papers_mask_hides_half(prob, span, frames, share):
    lengths = torch.full((500,), frames)
    generator = torch.Generator().manual_seed(0)
    mask = draw_span_mask(lengths, mask_prob=prob, mask_span=span, min_spans=2, generator=generator)
    assert mask.float().mean().item() == pytest.approx(share, abs=0.03)
    equal = equalise_rows(mask, lengths, generator).sum(1)
    assert (equal == equal[0]).all()


def quantized(ids: list[int], vectors: torch.Tensor) -> Quantized:
    return Quantized(vectors[None], torch.tensor(ids)[None, :, None], torch.zeros(1, len(ids), 1, 3))


def test_scores_are_cosines_with_equal_targets_left_out():
    head = ContrastiveHead(2, 2, 2, temperature=0.1)
    for projection in (head.hidden_projection, head.code_projection):
        torch.nn.init.eye_(projection.weight)
        torch.nn.init.zeros_(projection.bias)
    hidden = torch.tensor([[[1.0, 1.0], [0.0, 3.0], [2.0, 0.0]]])
    vectors = torch.tensor([[2.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    negatives = torch.tensor([[[1, 2], [0, 2], [1, 0]]])
    logits = head(hidden, quantized([4, 7, 4], vectors), negatives)
    half = 10 / math.sqrt(2)
    expected = torch.tensor([[[half, half, -torch.inf], [10, 0, 0], [10, 0, -torch.inf]]])
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    valid = torch.tensor([[True, True, False]])
    assert count_first_is_best(logits, valid) == 2
    assert count_first_is_best(torch.zeros(1, 3, 4), valid) == 0, "all scores equal: nothing was told apart"


def test_the_loss_of_a_collapsed_row_is_zero_and_its_gradient_finite():
    head = ContrastiveHead(4, 4, 4, temperature=0.1)
    vectors = torch.randn(1, 4).expand(6, 4).clone().requires_grad_()
    mask = torch.ones(1, 6, dtype=torch.bool)
    negatives = draw_negatives(mask, 5, torch.Generator().manual_seed(0))
    logits = head(torch.randn(1, 6, 4), quantized([3] * 6, vectors), negatives)
    loss = (logits.logsumexp(-1) - logits[..., 0]).sum()
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5) and vectors.grad.isfinite().all()
