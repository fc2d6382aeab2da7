"""New data folders in, what scripts/corpus/publish_sets.sh makes of data/ out."""

from pathlib import Path

import pytest
from recipe_folders import refuse, run, set_up_recipe, succeed

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


PREPARE = """import sys
from pathlib import Path

from espnet2.data_prep.tables import Utterance, write_data_dir

options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert options["--root"] == "my corpus" and options["--word"] == "two words", options
Path("data/.work").mkdir()
if "--fail" in options:
    sys.exit(3)
for dset in ("dev", "extra", "train"):
    write_data_dir(f"{options['--output_dir']}/{dset}", [Utterance(f"{dset}-1", dset, "new.wav", text="words")])
"""


@pytest.mark.parametrize("sets", ["train dev extra", ""])
def test_prepare_sets_makes_and_publishes_them(recipe: Path, sets: str) -> None:
    write_data_sh(recipe, sets)
    succeed(recipe, "local/data.sh")
    assert (recipe / "data/train/wav.scp").read_text() == "train-1 new.wav\n"
    assert {path.name for path in (recipe / "data").iterdir()} == {"train", "dev", "extra"}  # neither .new nor .work


@pytest.mark.parametrize(
    ("sets", "option"), [("train dev extra", "--fail true"), ("train dev", ""), ("train none", "")]
)
def test_prepare_sets_stops_at_what_fails(recipe: Path, sets: str, option: str) -> None:
    """A program that fails, a set that is made but not named, and one that is named but not made."""
    write_data_sh(recipe, sets, option)
    refuse_status(recipe)
    if option:
        assert (recipe / "data/train/wav.scp").read_text() == "old-1 old.wav\n"
    assert (recipe / "data/.work").is_dir()  # a second call goes on with it


def write_data_sh(recipe: Path, sets: str, option: str = "") -> None:
    (recipe / "local/prepare.py").write_text(PREPARE)
    (recipe / "local/data.sh").write_text(
        "#!/usr/bin/env bash\nset -euo pipefail\n. utils/parse_options.sh\n. scripts/corpus/start.sh\n"
        f'root="my corpus"\nprepare_sets "{sets}" --word "two words" {option}\necho done\n'
    )


def refuse_status(recipe: Path) -> None:
    result = run(recipe, "local/data.sh")
    assert result.returncode != 0 and "done" not in result.stdout, result.stdout
