"""Where a recipe takes its labels from, and that a method with targets of its own takes none."""

from pathlib import Path

from recipe_folders import succeed

LABELS = "../hubert1/exp/smoke"
STAGE_5 = (
    "./smoke.sh",
    "--dumpdir",
    "../hubert1/dump",
    "--pseudo_labels",
    LABELS,
    "--stage",
    "5",
    "--stop_stage",
    "5",
)


def test_labels_are_left_aside_by_a_method_without_labels(module_recipe: Path) -> None:
    recipe = module_recipe / "ssl1"
    output = succeed(recipe, *STAGE_5, "--train_config", "conf/train_dinosr_mini.yaml")
    assert f"conf/train_dinosr_mini.yaml trains on none; --pseudo_labels {LABELS} is left aside" in output
    assert "stage 5: skipped" in output
    assert "left aside" not in succeed(recipe, *STAGE_5)
