"""New data folders in, what scripts/corpus/publish_sets.sh makes of data/ out."""

from pathlib import Path

import pytest
from recipe_folders import refuse, set_up_recipe, succeed

from espnet2.data_prep.tables import Utterance, write_data_dir


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    set_up_recipe("ssl1", tmp_path / "a corpus" / "ssl1")
    recipe = tmp_path / "a corpus" / "ssl1"
    write_data_dir(recipe / "data/train", [Utterance("old-1", "old", "old.wav")])
    for dset in ("train", "dev"):
        write_data_dir(recipe / "data/.new" / dset, [Utterance(f"{dset}-1", dset, "new.wav", text="words")])
    return recipe


def test_valid_sets_take_the_place_of_old_ones(recipe: Path) -> None:
    output = succeed(recipe, "scripts/corpus/publish_sets.sh", "data/.new", "train", "dev")
    assert "data/dev: 1 utterances, 1 speakers" in output
    assert (recipe / "data/train/utt2spk").read_text() == "train-1 train\n"
    assert sorted(path.name for path in (recipe / "data").iterdir()) == ["dev", "train"]


def test_one_set_that_is_not_valid_keeps_all_back(recipe: Path) -> None:
    (recipe / "data/.new/dev/utt2spk").write_text("dev-2 dev\n")
    assert "utt2spk does not give 'dev-1' to speaker 'dev'" in refuse(
        recipe, "scripts/corpus/publish_sets.sh", "data/.new", "train", "dev"
    )
    assert (recipe / "data/train/utt2spk").read_text() == "old-1 old\n" and not (recipe / "data/dev").exists()


def test_spk2utt_is_made_and_a_suffix_makes_other_sets(recipe: Path) -> None:
    (recipe / "data/.new/dev/spk2utt").unlink()
    succeed(recipe, "scripts/corpus/publish_sets.sh", "--suffix", "_smoke", "data/.new", "train", "dev")
    assert (recipe / "data/dev_smoke/spk2utt").read_text() == "dev dev-1\n"
    assert sorted(path.name for path in (recipe / "data").iterdir()) == ["dev_smoke", "train", "train_smoke"]
