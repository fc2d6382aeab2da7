"""Random projection quantizer: labels of an independent implementation, fixed values, float32; windows of frames."""

import pytest
import torch
from torch.nn import functional as F
from vector_quantize_pytorch import RandomProjectionQuantizer as Reference

from espnet2.ssl.modules.random_quantizer import RandomProjectionQuantizer
from espnet2.ssl.modules.subsample import neighbour_frames


def quantizer(dim=40, *, num_codebooks=1, seed=0, norm=False) -> RandomProjectionQuantizer:
    return RandomProjectionQuantizer(dim, code_dim=16, num_codes=512, num_codebooks=num_codebooks, seed=seed, norm=norm)


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("num_codebooks", [1, 3])
def test_labels_are_those_of_the_reference(num_codebooks, norm):
    ours = quantizer(num_codebooks=num_codebooks, norm=norm)
    x = torch.randn(2, 300, 40)
    for number in range(num_codebooks):  # with several of its own, this one puts a learned projection in between
        theirs = Reference(dim=40, codebook_size=512, codebook_dim=16, norm=norm)
        theirs.rand_projs.copy_(ours.projections[number : number + 1])
        theirs.vq._codebook.embed.copy_(F.normalize(ours.codes[number : number + 1], dim=-1))
        assert torch.equal(ours(x)[..., number], theirs(x))


def test_the_length_of_a_code_does_not_matter():
    module = RandomProjectionQuantizer(2, code_dim=2, num_codes=2, num_codebooks=1, seed=0, norm=False)
    module.projections.copy_(torch.eye(2)[None])
    module.codes.copy_(torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]))
    assert module(torch.tensor([[[0.3, 0.4]]])).item() == 1  # cosines 0.6 and 0.8
    module.codes.copy_(torch.tensor([[[9.0, 0.0], [0.0, 0.1]]]))
    assert module(torch.tensor([[[0.3, 0.4]]])).item() == 1


def test_random_values_follow_from_their_own_seed_alone():
    torch.manual_seed(1)
    first = quantizer()
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    again = quantizer()
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first.projections, again.projections) and torch.equal(first.codes, again.codes)
    assert not torch.equal(first.codes, quantizer(seed=1).codes)
    limit = (6 / (40 + 16)) ** 0.5  # Xavier uniform
    assert limit * 0.95 < first.projections.abs().max() <= limit
    assert abs(first.codes.std() - 1) < 0.03 and abs(first.codes.mean()) < 0.03


def test_labels_are_computed_in_float32():
    x = torch.randn(2, 500, 40)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(quantizer()(x), quantizer()(x.float()))
        assert not torch.equal(quantizer()(x), quantizer()(x.bfloat16()))  # what would happen otherwise


def test_neighbours_stand_side_by_side_in_their_order():
    x = torch.arange(14).view(1, 7, 2)
    windows = neighbour_frames(x, 3, 2)
    assert windows.tolist() == [[[0, 1, 2, 3, 4, 5], [4, 5, 6, 7, 8, 9], [8, 9, 10, 11, 12, 13]]]
