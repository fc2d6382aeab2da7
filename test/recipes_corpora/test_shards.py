"""Shards and manifests that the test makes in; the tables and trainings of egs2/shards and egs2/lhotse out."""

from pathlib import Path

import lhotse
import pytest
from audio_sources import as_parquet, write_tar
from corpus_recipes import write_audio


def make_files(root: Path, *, rate: int = 16000) -> dict[str, Path]:
    """FLAC of half a second and more."""
    return {f"u{n}": write_audio(root / f"u{n}.flac", 0.5 + 0.1 * n, rate, seed=n) for n in range(8)}


def make_shards(root: Path, files: dict[str, Path]) -> Path:
    root.mkdir()
    for number in (0, 1):
        members = {}
        for name in list(files)[number::2]:
            members |= {f"{name}.flac": files[name].read_bytes(), f"{name}.txt": b"a text"}
        write_tar(root / f"train-{number}.tar", members)
    return root


def test_tables_of_shards_through_the_recipe(corpus_recipe, tmp_path: Path) -> None:
    recipe, files = corpus_recipe("shards"), make_files(tmp_path / "files")
    make_shards(tmp_path / "shards", files)
    as_parquet(files, tmp_path)
    for words in ("--train", f"{tmp_path}/shards/train-*.tar"), ("--train", f"hf:{tmp_path}"):
        recipe.prepare(*words, "--nj", "2")
        assert recipe.sets() == ["dev", "train"]
        assert len(recipe.tables("train")["wav.scp"]) + len(recipe.tables("dev")["wav.scp"]) == 8
    recipe.prepare(
        "--train", f"{tmp_path}/shards/train-0.tar", "--dev", f"{tmp_path}/shards/train-1.tar", "--text", "txt"
    )
    assert len(recipe.tables("dev")["text"]) == 4
    assert "--train SHARDS, or SHARDS in db.sh" in recipe.refuse(SHARDS="")
    assert "train-2.tar: no such shard" in recipe.refuse("--train", f"{tmp_path}/shards/train-{{1..2}}.tar")
    assert len(recipe.tables("dev")["text"]) == 4  # what was there stays


def test_what_lhotse_needs_is_said(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("lhotse")
    assert "--train CUTS, or LHOTSE_CUTS in db.sh" in recipe.refuse(LHOTSE_CUTS="")
    assert "none.jsonl.gz: no such shard" in recipe.refuse("--train", tmp_path / "none.jsonl.gz")
    assert recipe.sets() == []


@pytest.mark.recipes
def test_shards_train_without_a_copy(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("shards")
    make_shards(tmp_path / "shards", make_files(tmp_path / "files"))
    output = recipe.train(f"--train {tmp_path}/shards/train-*.tar --text txt")
    assert "the audio is read where it lies: nothing was written" in output
    assert not list((recipe.ssl1 / "dump").rglob("*.flac"))


@pytest.mark.recipes
def test_another_rate_is_refused_and_converted_on_request(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("shards")
    files = make_files(tmp_path / "files")
    write_audio(files["u3"], 0.8, 8000)
    root = make_shards(tmp_path / "shards", files)
    options = f"--train {root}/train-1.tar --dev {root}/train-0.tar"
    with pytest.raises(AssertionError, match=r"utterance u3: .*train-1.tar:.*: 8000 Hz, expected 16000"):
        recipe.train(options)
    assert not (recipe.ssl1 / "dump/org/train/wav.scp").exists()
    recipe.train(options, "--audio_format", "flac")


@pytest.mark.recipes
def test_cuts_train(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("lhotse")
    recordings = [lhotse.Recording.from_file(path) for path in make_files(tmp_path / "files").values()]
    cuts = lhotse.CutSet.from_cuts(
        [lhotse.MonoCut(f"c{n}", 0.1, 0.35, 0, recording=one) for n, one in enumerate(recordings)]
    )
    cuts.to_file(tmp_path / "cuts.jsonl.gz")
    recipe.train(f"--train {tmp_path}/cuts.jsonl.gz")
    lines = (recipe.ssl1 / "dump/train/wav.scp").read_text().splitlines()
    assert lines and all(line.endswith("@1600+5600") for line in lines)
