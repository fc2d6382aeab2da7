"""The smoke recipes run whole: the files of every stage, links with ESPnet's names, and calls that come after."""

import json
import os
from pathlib import Path

import pytest
from recipe_folders import KMEANS, MODELS, contents, refuse, run, succeed

from espnet2.evaluate.parts import PARTS

SETS = ("train_smoke", "dev_smoke")
EXP = Path("exp/smoke")
NUMBERS_DIFFER = "here 8 evaluates, 9 packs and 10 uploads"  # for those who type ESPnet's 8 or 9


def test_formatted_sets_hold_every_table(smoke: Path) -> None:
    for dset in SETS:
        org, dump = smoke / "hubert1/dump/org" / dset, smoke / "hubert1/dump" / dset
        for folder in (org, dump):
            for name in ("wav.scp", "utt2spk", "spk2utt", "utt2num_samples", "utt2stats", "transcript", "phones.ctm"):
                assert (folder / name).stat().st_size > 0, folder / name
        assert (org / "rejected.tsv").exists() and (dump / "index/index.json").exists()
        assert not (dump / "text").exists()  # training targets only: nobody put any there


def test_every_iteration_left_its_units_and_its_model(smoke: Path) -> None:
    for kmeans, model in zip(KMEANS, MODELS, strict=True):
        units = smoke / "hubert1" / EXP / "kmeans" / kmeans
        card = json.loads((units / "card.json").read_text())
        assert card["num_clusters"] == 20 and (units / "centroids.safetensors").exists()
        assert (units / "tokens.txt").read_text().split() == [str(number) for number in range(20)]
        assert all((units / "labels" / f"{dset}.txt").exists() for dset in SETS)
        folder = smoke / "hubert1" / EXP / model
        assert json.loads((folder / "train.done").read_text())["updates"] == 20
        for name in ("config.yaml", "train.log", "run.sh", "checkpoints/latest/model.safetensors"):
            assert (folder / name).exists(), name
        assert list((folder / "images").glob("*.png")) and list((folder / "tensorboard").iterdir())
    assert card["feature"] == "espnet_hubert" and card["layer"] == 1 and card["teacher_hash"]


def test_links_have_the_names_of_espnet(smoke: Path) -> None:
    recipe = smoke / "hubert1"
    for kmeans, name, folder in (
        (KMEANS[0], "iter0_mfcc", "mfcc"),
        (KMEANS[1], "iter1_espnet_hubert", "espnet_hubert/layer_1"),
    ):
        links = {recipe / f"data/en_token_list_kmeans_{name}_20clusters/word/tokens.txt": "tokens.txt"}
        for dset in SETS:
            links[recipe / "dump/ssl_feats" / folder / dset / "pseudo_labels_km20.txt"] = f"labels/{dset}.txt"
        for link, target in links.items():
            assert link.is_symlink() and not os.path.isabs(link.readlink())
            assert link.samefile(recipe / EXP / "kmeans" / kmeans / target)


def test_stages_are_numbered_and_skipped_ones_say_why(smoke: Path) -> None:
    output = (smoke / "hubert1/output.txt").read_text()
    for stage in (1, 3, 4, 5, 6, 7, 8):
        assert f"stage {stage}: " in output
    assert "stage 2: skipped: no --speed_perturb_factors" in output
    assert NUMBERS_DIFFER not in output
    assert "stage 10: skipped by --skip_*" in output


def test_the_last_model_is_packed_with_the_units_it_was_trained_on(smoke: Path) -> None:
    packed = smoke / "hubert1" / EXP / MODELS[1] / "packed"
    card = json.loads((packed / MODELS[1] / "card.json").read_text())
    assert (packed / f"{MODELS[1]}.tar.gz").stat().st_size > 0 and card["updates"] == 20
    assert [kmeans["name"] for kmeans in card["kmeans"]] == [KMEANS[1]] and card["data"]["hours"] > 0
    assert card["results"] and (packed / MODELS[1] / "tokens.txt").exists()


def test_the_last_model_is_evaluated_beside_its_baselines(smoke: Path) -> None:
    assert not (smoke / "hubert1" / EXP / MODELS[0] / "eval").exists()
    table = (smoke / "hubert1" / EXP / MODELS[1] / "eval/units.md").read_text()
    assert "| MFCC |" in table and "| untrained |" in table and f"| {MODELS[1]} |" in table
    assert table in (smoke / "hubert1/output.txt").read_text()
    for part in set(PARTS) - {"unit_lm"}:  # that one is of --eval full
        assert json.loads((smoke / "hubert1" / EXP / MODELS[1] / f"eval/{part}.json").read_text())["part"] == part
    assert (smoke / "hubert1" / EXP / MODELS[1] / "report.html").stat().st_size > 0


def test_a_second_call_redoes_nothing(module_recipe: Path) -> None:
    recipe = module_recipe / "hubert1"
    kept = [EXP / "kmeans" / kmeans / "centroids.safetensors" for kmeans in KMEANS]
    kept += [EXP / model / "checkpoints/latest/model.safetensors" for model in MODELS]
    kept += [Path("dump/org") / dset / "wav.scp" for dset in SETS]
    before = {path: (recipe / path).stat().st_mtime_ns for path in kept}
    output = succeed(recipe, "./smoke.sh", "--skip_eval", "true")
    assert {path: (recipe / path).stat().st_mtime_ns for path in kept} == before
    assert output.count("finished before, kept") == 6  # two k-means, two sets of labels each
    for model in MODELS:
        assert "complete before: 20 of 20 updates" in (recipe / EXP / model / "train.log").read_text()


@pytest.mark.parametrize(
    ("options", "iterations"),
    [
        ("--stage 5 --stop_stage 5", [0]),
        ("--stage 6 --stop_stage 6", []),
        ("--stage 5 --stop_stage 7 --skip_train true", [0, 1]),
        ("--stage 6 --stop_stage 7 --skip_train true", [1]),  # --stage is for the first iteration only
        ("--stage 7 --stop_stage 10 --skip_train true --skip_eval true --train_start_iter 1", []),
        ("--stage 5 --stop_stage 7 --skip_train true --train_start_iter 1", [1]),
        ("--stage 5 --stop_stage 7 --skip_train true --train_stop_iter 0", [0]),
        ("--stage 8 --skip_eval true", []),
    ],
)
def test_stages_and_iterations_that_run(module_recipe: Path, options: str, iterations: list[int]) -> None:
    output = succeed(module_recipe / "hubert1", "./smoke.sh", *options.split())
    assert [number for number in (0, 1) if f"stage 5: iteration {number}: " in output] == iterations
    assert "stage 1: " not in output
    assert (NUMBERS_DIFFER in output) == options.startswith("--stage 8")
    assert ("stage 10: skipped" in output) == ("--stop_stage" not in options or "--stop_stage 10" in options)


def test_training_alone_starts_at_the_iteration_asked_for(module_recipe: Path) -> None:
    recipe = module_recipe / "hubert1"
    logs = [recipe / EXP / model / "train.log" for model in MODELS]
    before = [log.stat().st_size for log in logs]
    output = succeed(recipe, "./smoke.sh", "--train_start_iter", "1", "--stage", "7", "--stop_stage", "7")
    assert output.count("stage 7: ") == 1
    assert logs[0].stat().st_size == before[0] and logs[1].stat().st_size > before[1]


@pytest.fixture(scope="module")
def ssl1(module_recipe: Path) -> Path:
    """ssl1 after its smoke run, with the labels of hubert1's last iteration."""
    (module_recipe / "ssl1" / "output.txt").write_text(succeed(module_recipe / "ssl1", "./smoke.sh"))
    return module_recipe / "ssl1"


def test_ssl1_trains_on_the_labels_of_hubert1(ssl1: Path) -> None:
    output = (ssl1 / "output.txt").read_text()
    experiment = ssl1 / EXP / "ssl_hubert_smoke"
    assert json.loads((experiment / "train.done").read_text())["updates"] == 20
    assert "| ssl_hubert_smoke |" in (experiment / "eval/units.md").read_text()
    assert "stage 3: " in output and f"packed_labels/{KMEANS[1]}" in output


def test_the_generated_script_goes_on(ssl1: Path) -> None:
    experiment = ssl1 / EXP / "ssl_hubert_smoke"
    weights = experiment / "checkpoints/latest/model.safetensors"
    before = weights.read_bytes()
    succeed(experiment, "./run.sh")
    assert "complete before: 20 of 20 updates" in (experiment / "train.log").read_text()
    assert weights.read_bytes() == before
    output = succeed(ssl1.parent, str(experiment / "run.sh"), "--max_update", "25", "--valid_interval_updates", "5")
    assert "going on from update 20 of 25" in output
    assert json.loads((experiment / "train.done").read_text())["updates"] == 25 and weights.read_bytes() != before


def test_a_corpus_is_formatted_once(recipe: Path) -> None:
    ssl1 = recipe / "ssl1"
    before = contents(recipe / "hubert1/dump")
    output = succeed(ssl1, "./smoke.sh", "--dumpdir", "../hubert1/dump", "--stop_stage", "6")
    assert "stages 1-4: skipped: --dumpdir ../hubert1/dump belongs to another recipe" in output
    assert not (ssl1 / "data").exists() and not (ssl1 / "dump").exists()
    after = contents(recipe / "hubert1/dump")
    assert {name: data for name, data in after.items() if name in before} == before
    (recipe / "hubert1/dump/dev_smoke/wav.scp").unlink()
    output = refuse(ssl1, "./smoke.sh", "--dumpdir", "../hubert1/dump", "--stop_stage", "6")
    assert "dev_smoke" in output and "wav.scp" in output


def test_everything_works_from_a_moved_recipe(recipe: Path) -> None:
    """Nothing that was made holds the path of the folder it was made in, but for the generated run.sh."""
    assert run(recipe / "hubert1", "./smoke.sh", "--stage", "6", "--stop_stage", "6").returncode == 0
    for path in (recipe / "hubert1" / EXP).rglob("*"):
        assert not path.is_symlink() or not os.path.isabs(path.readlink()), path
