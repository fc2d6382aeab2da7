"""superb.sh on a tiny corpus: every stage as array jobs, results and table, and a second call that keeps them."""

import json
from pathlib import Path

import pytest
from recipe_folders import RECIPES, refuse, set_up_recipe, succeed
from superb_corpora import fluent_speech_commands, librispeech

pytestmark = pytest.mark.recipes


def test_all_stages_of_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "a recipe"
    assert set_up_recipe("superb1", recipe).returncode == 0
    corpus = fluent_speech_commands(tmp_path / "a corpus")
    options = ["--systems", "logmel", "--options", "ic.updates=4 ic.eval_every=2", "--nj", "2"]
    output = succeed(recipe, "./superb.sh", "--corpora", f"fluent_speech_commands={corpus}", *options)
    assert all(f"stage {stage}: " in output for stage in (1, 2, 3, 4))
    for step in ("features", "fit"):
        assert [path.name for path in sorted((recipe / "exp/superb/log").glob(f"{step}.*.log"))] == [
            f"{step}.1.log", f"{step}.2.log",
        ]  # fmt: skip
    result = json.loads((recipe / "exp/superb/log-mel/ic.json").read_text())
    assert result["figures"]["acc"] >= 0 and "updates 4 (official 200000)" in str(result["deviations"])
    table = (recipe / "exp/superb/RESULTS.md").read_text()
    assert "| log-mel | " in table and "| HuBERT Base (published) | 98.34 |" in table
    succeed(recipe, "./superb.sh", "--stage", "4", *options)
    assert "log-mel, ic: unchanged, kept" in (recipe / "exp/superb/log/test.1.log").read_text()
    assert (recipe / "exp/superb/RESULTS.md").read_text() == table
    output = refuse(recipe, "./superb.sh", "--stage", "2", "--systems", "model")
    assert "--model is required from stage 2 on" in output
    assert (RECIPES / "mboshi/superb1/superb.sh").resolve() == (recipe / "superb.sh").resolve()


def test_options_of_corpora_are_for_their_corpus(tmp_path: Path) -> None:
    """PR needs a lexicon: blanks in folders and files are part of them, what is meant for nobody is refused."""
    recipe = tmp_path / "recipe"
    assert set_up_recipe("superb1", recipe).returncode == 0
    books, commands = librispeech(tmp_path / "the books"), fluent_speech_commands(tmp_path / "commands")
    corpora = f"librispeech={books} fluent_speech_commands={commands}"
    words = ["./superb.sh", "--stop_stage", "1", "--corpora", corpora, "--corpus_options"]
    succeed(recipe, *words, f"librispeech.lexicon=[{books}/lexicon.txt]")
    assert sorted(path.name for path in (recipe / "data").iterdir()) == ["asr", "ic", "pr"]
    assert "--corpora has no ml_superb" in refuse(recipe, *words, "ml_superb.duration=1h")
    assert "expected <name>=<value>" in refuse(recipe, *words[:4], str(books))
    assert "nothing behind the =" in refuse(recipe, *words[:4], "librispeech=")
