"""Training sets with augmentation of their own in; loud, clean and common audio, by set, out."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_training import TINY_CONFIG, make_set

from espnet2.data.augment.augment import AugmentConfig, open_augmenter
from espnet2.data.augment.sets import open_augmenters
from espnet2.data.dataset import SpeechDataset
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import open_indexes
from espnet2.data.sampler import MicroBatch
from espnet2.tasks.config import resolve_config
from espnet2.utils.errors import UserError

LOUD = {"gain": {"range_db": [6.0206, 6.0206]}}  # twice


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for name in ("a", "b", "c"):
        make_set(root, name, num_utterances=2)
    return SpeechDataset(
        open_indexes([root / "dump" / name for name in ("a", "b", "c")]),
        None,
        {},
        FrameGeometry(((400, 320),)),
        "none",
        seed=3,
    )


def augmenters(clean, augment=None, **sets):
    config = resolve_config({**TINY_CONFIG, "augment": augment, "augment_sets": sets})
    return open_augmenters(config.augment, config.augment_sets, clean.index)


def wavs(dataset) -> np.ndarray:
    return dataset[MicroBatch(np.arange(6), 8000, 0, 0)].batch.wavs.numpy()


def test_a_set_has_its_own_and_others_the_common_one(clean):
    dataset = replace(clean, augment=augmenters(clean, LOUD, b={}, c={"speed": {"factors": [1.25]}}))
    ours, theirs = wavs(dataset), wavs(clean)
    np.testing.assert_allclose(ours[:2], 2 * theirs[:2], rtol=1e-4)
    np.testing.assert_array_equal(ours[2:4], theirs[2:4])
    assert not np.allclose(ours[4:], theirs[4:], atol=1e-3)
    assert dataset.augment.max_speed == 1.25
    assert dataset.augment.describe().endswith("c: speed 1.25") and "b: nothing" in dataset.augment.describe()


def test_only_sets_with_their_own_are_changed(clean):
    dataset = replace(clean, augment=augmenters(clean, b=LOUD))
    ours, theirs = wavs(dataset), wavs(clean)
    np.testing.assert_array_equal(ours[[0, 1, 4, 5]], theirs[[0, 1, 4, 5]])
    np.testing.assert_allclose(ours[2:4], 2 * theirs[2:4], rtol=1e-4)


def test_without_names_everything_is_as_before(clean):
    common = augmenters(clean, LOUD)
    assert common == open_augmenter(AugmentConfig(**LOUD), 16000, 6)
    assert augmenters(clean) is None and augmenters(clean, a={}) is None
    everywhere = replace(clean, augment=augmenters(clean, None, a=LOUD, b=LOUD, c=LOUD))
    np.testing.assert_array_equal(wavs(everywhere), wavs(replace(clean, augment=common)))


def test_batches_say_whether_clips_are_mixed_where_any_set_mixes(clean):
    mixing = {"mixing": {"probability": 1.0}}
    dataset = replace(clean, augment=augmenters(clean, b=mixing))
    mixed = dataset[MicroBatch(np.arange(6), 8000, 0, 0)].batch.mixed
    assert mixed.tolist() == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"d": LOUD}, "augment_sets: the training sets have no set 'd'; known are "),
        ({"b": {"noise": {"noise_scp": "gone.scp"}}}, r"augment_sets\.b\.noise\.0\.noise_scp: gone\.scp"),
        ({"b": {"gian": {}}}, r"unknown key 'augment_sets\.b\.gian'; did you mean 'gain'"),
        ({"b": 3}, r"augment_sets\.b"),
    ],
)
def test_wrong_sections_are_refused(clean, sets, message):
    with pytest.raises(UserError, match=message):
        augmenters(clean, **sets)


def test_a_set_named_twice_is_refused(clean):
    with pytest.raises(UserError, match="second set"):
        augmenters(clean, **{"a": LOUD, clean.index.names[0]: {}})
