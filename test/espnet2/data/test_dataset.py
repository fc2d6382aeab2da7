"""Descriptions of micro-batches in; crops aligned with labels, normalised, the same bytes in any process out."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import soundfile
import torch
from tiny_training import make_set

from espnet2.data.batch import Draw
from espnet2.data.dataset import VALID_STREAM, SpeechDataset, seed_for
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import open_indexes
from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.packed import NO_LABEL
from espnet2.data.loader import iterate_batches
from espnet2.data.sampler import Cursor, MicroBatch, Sampler
from espnet2.utils.errors import UserError

GEOMETRY = FrameGeometry(((400, 320),))


class CoinDraw(Draw):
    """One random number per utterance."""

    def __call__(self, wav_lengths, utt_ids, generator):
        return {"coin": torch.rand(len(utt_ids), generator=generator)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("dataset")
    make_set(root, "one", num_utterances=8, seed=0)
    make_set(root, "two", num_utterances=5, seed=1)
    index = open_indexes([root / "dump/one", root / "dump/two"])
    labels = JoinedLabels.open([root / "labels/one", root / "labels/two"])
    return SpeechDataset(index, labels, {"first": CoinDraw(), "second": CoinDraw()}, GEOMETRY, "none", seed=3)


def micro_batch(rows, num_samples=8000, number=0) -> MicroBatch:
    return MicroBatch(np.array(rows), num_samples, number, 0)


def test_crops_start_at_frames_and_carry_their_labels(dataset):
    starts = set()
    for number in range(40):
        batch = dataset[micro_batch([2, 9], number=number)].batch
        for position, row in enumerate([2, 9]):
            whole, _ = soundfile.read(dataset.index.path(row), dtype="float32")
            wav = batch.wavs[position].numpy()
            matching_starts = [
                start
                for start in range(0, len(whole) - 8000 + 1, 320)
                if np.array_equal(whole[start : start + 8000], wav)
            ]
            assert len(matching_starts) == 1, "the crop is no part of the utterance that starts at a frame"
            starts.add((row, matching_starts[0]))
            frames = dataset.labels.labels(row)[matching_starts[0] // 320 :][:24]
            assert batch.labels[position].tolist() == frames.tolist()
    assert len(starts) > 10


def test_padding_has_no_labels(dataset):
    length = int(dataset.index.num_samples[0])
    loaded = dataset[micro_batch([0], num_samples=length + 3200)]
    frames = GEOMETRY.output_lengths(length)
    assert loaded.num_samples == length == int(loaded.batch.wav_lengths[0])
    assert (loaded.batch.wavs[0, length:] == 0).all()
    assert (loaded.batch.labels[0, frames:] == NO_LABEL).all() and (loaded.batch.labels[0, :frames] >= 0).all()
    assert loaded.batch.labels.shape == (1, GEOMETRY.output_lengths(length + 3200))
    assert loaded.batch.utt_ids == ("one-000",)


def test_normalisation_uses_the_whole_utterance(dataset):
    row = 3
    whole, _ = soundfile.read(dataset.index.path(row), dtype="float64")
    length = len(whole)
    batch = replace(dataset, normalize="utterance")[micro_batch([row], num_samples=length)].batch
    expected = (whole - whole.mean()) / np.sqrt(whole.var() + 1e-5)
    np.testing.assert_allclose(batch.wavs[0].numpy(), expected, atol=1e-3)  # the file holds 16 bits


def test_draws_depend_on_number_entry_and_stream(dataset):
    def coins(number: int, data: SpeechDataset = dataset) -> tuple[list, list]:
        draws = data[micro_batch([1, 2], number=number)].batch.draws
        return draws["first"]["coin"].tolist(), draws["second"]["coin"].tolist()

    assert coins(5) == coins(5)
    first, second = coins(5)
    assert first != second and coins(6)[0] != first
    assert coins(5, replace(dataset, stream=VALID_STREAM))[0] != first
    assert coins(5, replace(dataset, seed=4))[0] != first


def test_seeds_do_not_collide():
    seeds = {seed_for(a, b, c) for a in range(20) for b in range(20) for c in range(20)}
    assert len(seeds) == 8000 and all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_any_number_of_processes_gives_the_same_bytes(dataset, num_workers):
    def load(workers: int) -> list:
        sampler = Sampler(
            dataset.index.num_samples, shard_samples=30000, max_samples=12000, crop="shortest", hop_samples=320
        )
        return list(islice(iterate_batches(dataset, sampler.stream(Cursor()), num_workers=workers), 12))

    for ours, theirs in zip(load(num_workers), load(0), strict=True):
        assert ours.number == theirs.number and ours.batch.utt_ids == theirs.batch.utt_ids
        assert torch.equal(ours.batch.wavs, theirs.batch.wavs) and torch.equal(ours.batch.labels, theirs.batch.labels)
        assert torch.equal(ours.batch.draws["first"]["coin"], theirs.batch.draws["first"]["coin"])


def test_loading_leaves_the_global_generator_alone(dataset):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    list(iterate_batches(dataset, [micro_batch([0])], num_workers=1))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("num_workers", [0, 1])
def test_missing_audio_is_named_without_a_traceback(tmp_path, num_workers):
    make_set(tmp_path, "gone", num_utterances=2)
    index = open_indexes([tmp_path / "dump/gone"])
    (tmp_path / "dump/gone/audio/gone-001.wav").unlink()
    dataset = SpeechDataset(index, None, {}, GEOMETRY, "none", seed=0)
    with pytest.raises(UserError, match=r"gone-001\.wav") as caught:
        list(iterate_batches(dataset, [micro_batch([0, 1])], num_workers=num_workers))
    assert "Traceback" not in str(caught.value)
