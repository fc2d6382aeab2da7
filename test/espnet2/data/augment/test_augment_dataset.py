"""Micro-batches of an augmented set in; the same bytes from any process, labels where their sound is, out."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import soundfile
import torch
from tiny_training import NUM_CLASSES, make_set

from espnet2.data.augment.augment import AugmentConfig, open_augmenter
from espnet2.data.batch import Batch
from espnet2.data.dataset import SpeechDataset
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import open_indexes
from espnet2.data.labels.joined import JoinedLabels
from espnet2.data.labels.packed import NO_LABEL
from espnet2.data.loader import iterate_batches
from espnet2.data.sampler import Cursor, MicroBatch, Sampler
from espnet2.utils.config import parse_config
from espnet2.utils.kaldi_table import write_table

GEOMETRY = FrameGeometry(((400, 320),))
ALL = {
    "speed": {"factors": [0.9, 1.0, 1.1]},
    "mixing": {"probability": 0.5},
    "gain": {"probability": 0.5},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("augmented")
    make_set(root, "train", num_utterances=8)
    (root / "sounds").mkdir()
    random = np.random.default_rng(5)
    for name, wav in {"hiss": random.standard_normal(4000), "room": [0, 0, 1, 0.5, 0.1]}.items():
        soundfile.write(root / f"sounds/{name}.wav", 0.1 * np.array(wav), 16000)
        write_table(root / f"sounds/{name}.scp", [(name, str(root / f"sounds/{name}.wav"))])
    return root


@pytest.fixture(scope="module")
def clean(root):
    index, labels = open_indexes([root / "dump/train"]), JoinedLabels.open([root / "labels/train"])
    return SpeechDataset(index, labels, {}, GEOMETRY, "none", seed=3)


def augmented(clean: SpeechDataset, **sections) -> SpeechDataset:
    config = parse_config(AugmentConfig, sections, "augment")
    return replace(clean, augment=open_augmenter(config, 16000, len(clean.index)))


def everything(clean: SpeechDataset, root) -> SpeechDataset:
    noise = {"noise_scp": str(root / "sounds/hiss.scp")}
    return augmented(clean, **ALL, noise=noise, reverb={"rir_scp": str(root / "sounds/room.scp")})


def micro_batch(rows, num_samples=8000, number=0) -> MicroBatch:
    return MicroBatch(np.array(rows), num_samples, number, 0)


def whole(dataset, row, number=0) -> Batch:
    return dataset[micro_batch([row], int(dataset.index.num_samples[row]), number)].batch


@pytest.mark.parametrize("num_workers", [1, 2])
def test_any_number_of_processes_gives_the_same_bytes(clean, root, num_workers):
    dataset = everything(clean, root)

    def load(workers: int) -> list:
        sampler = Sampler(dataset.index.num_samples, shard_samples=30000, max_samples=12000, hop_samples=320)
        return list(islice(iterate_batches(dataset, sampler.stream(Cursor()), num_workers=workers), 12))

    for ours, theirs in zip(load(num_workers), load(0), strict=True):
        assert torch.equal(ours.batch.wavs, theirs.batch.wavs) and torch.equal(ours.batch.labels, theirs.batch.labels)
        assert torch.equal(ours.batch.mixed, theirs.batch.mixed)


def test_a_clip_depends_on_seed_number_and_utterance_only(clean, root):
    dataset = everything(clean, root)
    first = dataset[micro_batch([2, 5], 6400, number=7)].batch
    alone = dataset[micro_batch([2], 6400, number=7)].batch  # its company does not matter
    assert torch.equal(first.wavs[0], alone.wavs[0])
    twice = dataset[micro_batch([2], 6400, number=8)].batch
    other = replace(dataset, seed=4)[micro_batch([2], 6400, number=7)].batch
    assert not torch.equal(alone.wavs, twice.wavs) and not torch.equal(alone.wavs, other.wavs)


def test_nothing_drawn_leaves_audio_and_crops_as_they_were(clean):
    idle = augmented(clean, speed={"factors": [1.0]}, mixing={"probability": 0})
    for number in range(5):
        ours = idle[micro_batch([1, 2, 3], number=number)].batch
        theirs = clean[micro_batch([1, 2, 3], number=number)].batch
        assert torch.equal(ours.wavs, theirs.wavs) and torch.equal(ours.labels, theirs.labels)
        assert ours.mixed.tolist() == [False] * 3 and theirs.mixed is None


def test_mixed_marks_the_clips_that_changed(clean):
    dataset = augmented(clean, mixing={"probability": 0.5})
    hits = 0
    for number in range(20):
        ours = dataset[micro_batch([1, 2, 3], number=number)].batch
        theirs = clean[micro_batch([1, 2, 3], number=number)].batch
        assert ours.mixed.tolist() == (ours.wavs != theirs.wavs).any(1).tolist()
        assert torch.equal(ours.labels, theirs.labels) and torch.equal(ours.wav_lengths, theirs.wav_lengths)
        hits += int(ours.mixed.sum())
    assert 15 < hits < 45
    moved = ours.map(lambda tensor: tensor.clone())
    assert torch.equal(moved.mixed, ours.mixed)
    assert augmented(clean, gain={})[micro_batch([1])].batch.mixed is None


def test_nobody_is_mixed_with_himself(clean):
    dataset = augmented(clean, mixing={"probability": 1})
    seen = []
    read = SpeechDataset._read

    class Watched(SpeechDataset):
        def _read(self, row, start, num_samples, out=None):
            seen.append((row, start, num_samples))
            return read(self, row, start, num_samples, out)

    watched = Watched(**{field: getattr(dataset, field) for field in dataset.__dataclass_fields__})
    for number in range(200):
        watched[micro_batch([number % 8], 8000, number)]
    primary, partners = seen[::2], seen[1::2]
    assert all(mine[0] != other[0] for mine, other in zip(primary, partners, strict=True))
    assert {other for other, *_ in partners} == set(range(8))
    assert max(length for *_, length in partners) <= 4000
    assert len({start for _, start, _ in partners}) > 150


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_speed_keeps_labels_with_their_sound(clean, factor):
    """The loudness of the corpus follows its labels, so the labels can be read off the played audio."""
    dataset = augmented(clean, speed={"factors": [factor]})
    right = total = 0
    for row in range(8):
        for number in range(4):
            batch = dataset[micro_batch([row], 9600, number)].batch
            expected = min(9600, int(clean.index.num_samples[row]) * 100 // round(100 * factor))
            assert batch.wav_lengths.tolist() == [expected]
            frames = GEOMETRY.output_lengths(expected)
            labels = batch.labels[0, :frames].numpy()
            assert (batch.labels[0, frames:] == NO_LABEL).all()
            loudness = [batch.wavs[0, 320 * t : 320 * t + 400].std() for t in range(frames)]
            unit = 0.02 * min(1.0, factor**-0.5)  # white noise played faster loses what is above 8 kHz
            guesses = np.clip(np.rint(np.array(loudness) / unit) - 1, 0, NUM_CLASSES - 1)
            steady = np.flatnonzero((labels[:-2] == labels[1:-1]) & (labels[1:-1] == labels[2:])) + 1
            right += (guesses[steady] == labels[steady]).sum()
            total += len(steady)
    assert total > 200 and right / total > 0.9


def test_a_faster_utterance_ends_earlier_and_a_slower_one_is_cropped(clean):
    length = int(clean.index.num_samples[0])
    for factor, expected in ((1.25, length * 4 // 5), (0.8, length)):
        loaded = augmented(clean, speed={"factors": [factor]})[micro_batch([0], length)]
        assert loaded.batch.wav_lengths.tolist() == [expected] and loaded.num_samples == expected
        assert not loaded.batch.wavs[0, expected:].any()
        assert loaded.batch.is_padded == (expected < length)


def test_normalisation_follows_the_augmented_wave(clean, root):
    hiss = {"noise_scp": str(root / "sounds/hiss.scp"), "probability": 1, "snr_db": [-5, -5]}
    dataset = replace(augmented(clean, noise=hiss, gain={"range_db": [12, 12]}), normalize="utterance")
    for row in range(4):
        wav = whole(dataset, row).wavs[0]
        assert float(wav.mean()) == pytest.approx(0, abs=1e-3) and float(wav.var()) == pytest.approx(1, abs=2e-3)
    # A gain alone cannot be heard: it is normalised away, but for the constant that keeps silence from exploding.
    loud = replace(augmented(clean, gain={"range_db": [6, 6]}), normalize="utterance")
    plain = replace(clean, normalize="utterance")
    cropped = micro_batch([3], 4800)
    torch.testing.assert_close(loud[cropped].batch.wavs, plain[cropped].batch.wavs, rtol=0.02, atol=0.01)
