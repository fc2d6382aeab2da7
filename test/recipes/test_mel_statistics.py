"""Stage 6 of a recipe: mel statistics of the training sets where the config needs them, and only there."""

from pathlib import Path

from recipe_folders import refuse, succeed

STAGE_6 = ("./smoke.sh", "--dumpdir", "../hubert1/dump", "--pseudo_labels", "", "--stage", "6", "--stop_stage", "6")
CORPUS = (
    "--train_config",
    "conf/train_best_rq_mini.yaml",
    "--ssl_args",
    "--frontend_conf mel_norm=corpus --max_update 1",
)


def test_statistics_are_gathered_only_for_a_config_that_needs_them(module_recipe: Path) -> None:
    recipe, dump = module_recipe / "ssl1", module_recipe / "hubert1/dump"
    assert "mel statistics: not needed by conf/train_hubert_smoke.yaml" in succeed(recipe, *STAGE_6)
    output = succeed(recipe, *STAGE_6, "--ssl_args", "--frontend_conf mel_norm=utterance")
    assert "mel statistics: skipped: conf/train_hubert_smoke.yaml needs none" in output
    assert not list(dump.glob("*/mel_stats"))
    training = (*STAGE_6[:-4], "--stage", "7", "--ngpu", "0", *CORPUS)
    assert "is missing: mel_norm corpus needs" in refuse(recipe, *training)
    output = succeed(recipe, *STAGE_6, *CORPUS)
    (made,) = dump.glob("*/mel_stats/*")
    assert made.parent.parent.name == "train_smoke" and f"train_smoke/mel_stats/{made.name}: " in output
    written = made.stat().st_mtime_ns
    succeed(recipe, *STAGE_6, *CORPUS)
    assert made.stat().st_mtime_ns == written
