"""A user's mistakes at run.sh in: one clear error, a non-zero exit and nothing half-written out. Options and data."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from recipe_folders import contents, refuse, set_up_recipe, succeed

LISTS_TOO_SHORT = {
    "n_clusters": "20",
    "features_km": "mfcc",
    "layers_km": "0",
    "portion_km": "1.0",
    "train_configs": "conf/train_hubert_smoke.yaml",
}
# Copies what a test prepared in in/; a set that is not there is not made.
DATA_SH = """\
#!/usr/bin/env bash
set -euo pipefail
mkdir -p data
for dset in train_smoke dev_smoke; do
    rm -rf "data/${dset}"
    [ ! -d "in/${dset}" ] || cp -r "in/${dset}" data/
done
"""


@pytest.fixture
def hubert1(module_recipe: Path) -> Path:
    """hubert1 after its smoke run; none of these tests may change it."""
    return module_recipe / "hubert1"


@pytest.fixture
def ssl1(module_recipe: Path) -> Path:
    return module_recipe / "ssl1"


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("ssl1.sh", "--train_sets a", "unknown option --train_sets; did you mean --train_set?"),
        ("hubert1.sh", "--n_cluster 20", "unknown option --n_cluster; did you mean --n_clusters?"),
        ("ssl1.sh", "--train_set", "option --train_set needs a value"),
        ("ssl1.sh", "--nj --stage 1", "option --nj needs a value, found the option '--stage'"),
        ("ssl1.sh", "--train_set=a", "options are written '--name value', got '--train_set=a'"),
        ("ssl1.sh", "--train_set a --valid_set b stray", "unexpected argument 'stray'"),
        ("ssl1.sh", "--valid_set dev", "--train_set is required"),
        ("ssl1.sh", "--train_set train", "--valid_set is required"),
        ("ssl1.sh", "--train_set a --valid_set b --ngpu one", "--ngpu 'one': expected a whole number"),
        ("ssl1.sh", "--train_set a --valid_set b --stage x", "--stage 'x': expected a whole number"),
        ("ssl1.sh", "--train_set a --valid_set b --nj 0", "--nj 0: expected at least one job"),
        ("ssl1.sh", "--train_set a --valid_set b --feats_type fbank", "only 'raw' exists"),
        ("ssl1.sh", "--train_set a --valid_set b --audio_format mp3", "expected wav, flac, wav.ark, flac.ark or as_is"),
        ("ssl1.sh", "--train_set a --valid_set b --skip_train 1", "takes true or false, not '1'"),
        ("hubert1.sh", "--train_set a --valid_set b", "--train_configs is required"),
        (
            "smoke.sh",
            "--test_sets train_smoke",
            "--test_sets train_smoke: it is in --train_set; name sets that are not",
        ),
        ("smoke.sh", "--train_start_iter 2", "--train_start_iter 2 is after --train_stop_iter 1"),
        ("smoke.sh", "--train_stop_iter 2", "the lists describe iterations 0 to 1"),
    ],
)
def test_options(hubert1: Path, script: str, options: str, message: str) -> None:
    before = contents(hubert1)
    output = refuse(hubert1, f"./{script}", *options.split())
    assert message in output and len(output.splitlines()) == 1
    assert contents(hubert1) == before


@pytest.mark.parametrize("name", LISTS_TOO_SHORT)
def test_lists_of_unequal_length(hubert1: Path, name: str) -> None:
    output = refuse(hubert1, "./smoke.sh", f"--{name}", LISTS_TOO_SHORT[name])
    assert "every list needs one value per iteration" in output
    assert ("--train_configs has 1" if name == "train_configs" else f"--{name} has 1 values") in output


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("features_km", "mfcc fbank", "unknown 'fbank'; known are mfcc and espnet_hubert"),
        ("features_km", "espnet_hubert mfcc", "iteration 0 has no model before it"),
        ("layers_km", "0 0", "'0' of iteration 1 is not a layer"),
        ("n_clusters", "20 many", "'many' is not a whole number"),
    ],
)
def test_values_in_lists(hubert1: Path, name: str, values: str, message: str) -> None:
    assert message in refuse(hubert1, "./smoke.sh", f"--{name}", values)


def test_a_layer_that_the_model_does_not_have(hubert1: Path) -> None:
    options = ["--train_start_iter", "1", "--stage", "5", "--stop_stage", "5", "--layers_km", "0 9"]
    assert "has no layer 9; its layers are 1, 2" in refuse(hubert1, "./smoke.sh", *options)
    left = contents(hubert1 / "exp/smoke/kmeans/iter1_espnet_hubert_l9_km20")
    assert all(name.startswith("log/") for name in left)


@pytest.mark.parametrize(
    ("script", "options", "missing", "stage"),
    [
        ("ssl1", "--stage 2 --speed_perturb_factors 0.9", "data/train_smoke/wav.scp", 1),
        ("ssl1", "--stage 3", "data/train_smoke/wav.scp", 1),
        ("ssl1", "--stage 3 --speed_perturb_factors 0.9", "data/train_smoke_sp/wav.scp", 2),
        ("ssl1", "--stage 4", "new/dump/org/train_smoke/wav.scp", 3),
        ("ssl1", "--stage 5", "new/dump/train_smoke/index/index.json", 4),
        ("ssl1", "--stage 6", "new/dump/train_smoke/wav.scp", 4),
        ("ssl1", "--stage 7", "new/dump/train_smoke/index/index.json", 6),
        ("ssl1", "--stage 7 --dumpdir ../hubert1/dump", "packed_labels", 5),
        ("ssl1", "--stage 8", "new/exp/ssl_hubert_smoke/checkpoints/latest", 7),
        ("hubert1", "--stage 5", "new/dump/train_smoke/index/index.json", 4),
        ("hubert1", "--stage 7 --dumpdir dump", "new/exp/kmeans/iter0_mfcc_km20/labels/train_smoke/labels.json", 5),
        ("hubert1", "--stage 5 --dumpdir dump --train_start_iter 1", "hubert_iter0_smoke_mfcc_km20/checkpoints", 7),
    ],
)
def test_a_stage_before_the_one_it_needs(
    module_recipe: Path, script: str, options: str, missing: str, stage: int
) -> None:
    recipe = module_recipe / script
    output = refuse(recipe, "./smoke.sh", "--expdir", "new/exp", "--dumpdir", "new/dump", *options.split())
    assert re.search(rf"error: .*{re.escape(missing)}.* is missing: stage {stage} makes it; run ", output), output
    assert f"--stage {stage}" in output.splitlines()[-1]
    assert {path.name for path in (recipe / "new").rglob("*") if path.is_file()} <= {"stages.tsv"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--pseudo_labels ../none", "--pseudo_labels ../none: no such folder"),
        ("--pseudo_labels ../ssl1", "no finished labels; run stages 1 to 5 of that hubert1 recipe first"),
        ("--pseudo_labels ../hubert1/exp/smoke --pseudo_labels_iter 4", "no finished labels of iteration 4"),
        ("--dumpdir ../hubert1/none", "../hubert1/none/train_smoke"),
        ("--stage 7 --pseudo_labels  --train_config conf/train_none.yaml --dumpdir ../hubert1/dump", "no such file"),
    ],
)
def test_other_recipes_and_files(ssl1: Path, options: str, message: str) -> None:
    assert message in refuse(ssl1, "./smoke.sh", "--stop_stage", "7", *options.split(" "))


def test_a_corpus_without_local_data_sh(tmp_path: Path) -> None:
    made = set_up_recipe("ssl1", tmp_path / "new corpus" / "ssl1")
    assert made.returncode == 0
    output = refuse(tmp_path / "new corpus" / "ssl1", "./run.sh")
    assert "local/data.sh has to be written for this corpus" in output
    (tmp_path / "new corpus" / "ssl1" / "local" / "data.sh").unlink()
    assert "local/data.sh is missing" in refuse(tmp_path / "new corpus" / "ssl1", "./run.sh")


@pytest.fixture(scope="module")
def corpus(module_recipe: Path) -> Path:
    """An ssl1 recipe whose local/data.sh gives data/<set> as they lie in in/<set>; its audio is in `my audio`."""
    recipe = module_recipe / "own" / "ssl1"
    assert set_up_recipe("ssl1", recipe).returncode == 0
    (recipe / "local" / "data.sh").write_text(DATA_SH)
    shutil.copytree(module_recipe / "hubert1/data/audio_smoke", recipe / "my audio")
    for dset in ("train_smoke", "dev_smoke"):
        shutil.copytree(module_recipe / "hubert1/data" / dset, recipe / "good" / dset)
        scp = recipe / "good" / dset / "wav.scp"
        scp.write_text(scp.read_text().replace("data/audio_smoke", "my audio"))
    return recipe


SETS = ["--train_set", "train_smoke", "--valid_set", "dev_smoke", "--stop_stage", "4", "--nj", "1"]


@pytest.fixture
def given(corpus: Path) -> Path:
    """The corpus with correct tables in in/."""
    for folder in ("in", "data", "dump"):
        shutil.rmtree(corpus / folder, ignore_errors=True)
    shutil.copytree(corpus / "good", corpus / "in")
    return corpus


def test_spaces_in_paths_work(given: Path) -> None:
    assert "my audio/s000/s000-000.wav" in (given / "in/train_smoke/wav.scp").read_text()
    succeed(given, "./run.sh", *SETS)
    assert len((given / "dump/train_smoke/utt2num_samples").read_text().splitlines()) == 16


def edit(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """An edit of in/train_smoke/<name>."""

    def apply(recipe: Path) -> None:
        path = recipe / "in/train_smoke" / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def without_line(number: int) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(
        line for line_number, line in enumerate(data.splitlines(True), 1) if line_number != number
    )


def empty_set(recipe: Path) -> None:
    for path in (recipe / "in/train_smoke").iterdir():
        path.write_bytes(b"")


BAD_DATA = {
    "unsorted": (edit("wav.scp", lambda data: b"".join(reversed(data.splitlines(True)))), "not in sorted order"),
    "duplicate": (edit("wav.scp", lambda data: data.splitlines(True)[0] + data), "wav.scp:2: duplicate key"),
    "mismatched": (edit("wav.scp", without_line(2)), "s000-001"),
    "mismatched speakers": (edit("utt2spk", without_line(2)), "utt2spk does not give 's000-001' to speaker 's000'"),
    "CRLF wav.scp": (edit("wav.scp", lambda data: data.replace(b"\n", b"\r\n")), "wav.scp:1: carriage return"),
    "CRLF text": (edit("text", lambda data: data.replace(b"\n", b"\r\n")), "text:1: carriage return"),
    "not UTF-8": (edit("text", lambda data: data.replace(b" the", b" th\xe9", 1)), "not UTF-8 (byte 0xe9)"),
    "empty": (empty_set, "empty file data/train_smoke/utt2spk: expected a line for each utterance"),
    "no valid set": (lambda recipe: shutil.rmtree(recipe / "in/dev_smoke"), "data/dev_smoke is missing: local/data.sh"),
}


@pytest.mark.parametrize("kind", BAD_DATA)
def test_data_directories(given: Path, kind: str) -> None:
    damage, message = BAD_DATA[kind]
    damage(given)
    output = refuse(given, "./run.sh", *SETS)
    assert message in output and "stage 3" not in output
    assert not (given / "dump").exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("in/none.wav", "missing  in/none.wav"),
        ("in/train_smoke/text", "not_audio  in/train_smoke/text"),
        ("false --x |", "exit code 1 of 'false --x'"),
    ],
)
def test_audio_that_cannot_be_read(given: Path, entry: str, message: str) -> None:
    edit("wav.scp", lambda data: f"s000-000 {entry}\n".encode() + without_line(1)(data))(given)
    output = refuse(given, "./run.sh", *SETS)
    assert "1 of 16 utterances" in output and message in output and "--max_rejected_ratio" in output
    assert not (given / "dump/org/train_smoke/wav.scp").exists() and not (given / "dump/train_smoke").exists()


def test_everything_filtered_out(given: Path) -> None:
    output = refuse(given, "./run.sh", *SETS, "--min_wav_duration", "18")
    assert "dump/org/train_smoke" in output and "--min_wav_duration" in output
    assert not (given / "dump/train_smoke/wav.scp").exists()


def test_a_full_disk(given: Path, tmp_path: Path) -> None:
    """Nothing can be written any more when stage 4 runs: what stage 4 left before stays whole."""
    succeed(given, "./run.sh", *SETS)
    before = contents(given / "dump/train_smoke")
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os\n"
        "def full(handle):\n"
        "    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'dump')\n"
        "os.fsync = full\n"
    )
    options = [*SETS, "--stage", "4", "--min_wav_duration", "4"]
    output = refuse(given, "./run.sh", *options, PYTHONPATH=str(tmp_path))
    assert "No space left on device" in output and "free some space and run the same command again" in output
    assert contents(given / "dump/train_smoke") == before
    succeed(given, "./run.sh", *options)
    assert contents(given / "dump/train_smoke") != before
