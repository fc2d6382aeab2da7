"""local/data.sh in the styles of other toolkits' recipes, and small corpora, in; valid data directories out."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from data_directory import keys, tables
from recipe_folders import refuse, run, set_up_recipe, succeed
from repository import ROOT
from style_corpora import STYLES

pytestmark = pytest.mark.recipes
# What each style makes, and how many utterances that has.
MADE = {
    "librispeech": {"train_both": 8, "train_short": 2, "dev": 4},
    "an4": {"train_dev": 1, "train_nodev": 2, "test": 1},
    "fisher": {"all": 12, "train": 0, "dev": 0},
    "tedlium": {"train": 3, "dev": 3},
    "voxforge": {"all_en": 5, "tr_en": 0, "dt_en": 0},
    "jsut": {"tr": 2, "dev_phn": 1},
    "songs": {"train": 2},
    "chime": {"tr05_real_multich": 2, "dt05_simu": 2},
    "commonvoice": {"train_eo": 4, "test_eo": 1, "dev_eo": 1},
    "mls": {"train": 6, "dev": 2},
    "mustc": {"dev.en-de": 3},
    "babel": {"conversations": 6, "whole": 2, "halved": 12},
    "voxceleb": {"train": 32, "enrol": 2},
    "diarization": {"dev": 6},
}


@pytest.fixture(scope="module", params=STYLES)
def prepared(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A style and the recipe that it has run in, by the first stage's own script."""
    style: str = request.param
    make, name = STYLES[style]
    folder = tmp_path_factory.mktemp(style)
    make(folder / "corpus")
    recipe = folder / "recipes" / style / "ssl1"
    assert set_up_recipe("ssl1", recipe).returncode == 0
    shutil.copytree(Path(__file__).parent / "styles" / style, recipe / "local", dirs_exist_ok=True)
    if style == "diarization":
        (recipe / "local" / "data.sh").chmod(0o644)  # as in some repositories
    (recipe / "local" / "path.sh").touch()  # most of ESPnet's are empty
    output = succeed(recipe, "scripts/corpus/run_data.sh", **{name: str(folder / "corpus")})
    assert ("is not executable: it is run with bash" in output) == (style == "diarization")
    return style, recipe


def test_the_sets_are_there_and_valid(prepared: tuple[str, Path]) -> None:
    style, recipe = prepared
    for dset, count in MADE[style].items():
        data = tables(recipe / "data" / dset)
        number = len(keys(data["utt2spk"]))
        assert number == count or (count == 0 and number > 0), f"{dset}: {number} utterances"
        options = ["--no-feats", *([] if "text" in data else ["--no-text"]), "--no-spk-sort"]
        succeed(recipe, "utils/validate_data_dir.sh", *options, f"data/{dset}")


def test_the_checker_finds_nothing_missing(prepared: tuple[str, Path]) -> None:
    style, recipe = prepared
    output = succeed(recipe, "utils/check_recipe.sh", ".")
    assert ".: nothing is missing in the toolkit" in output
    assert f": {STYLES[style][1]}, line " in output


def test_stage_3_reads_the_audio(prepared: tuple[str, Path]) -> None:
    """Every recording can be decoded; a machine without sox or ffmpeg does it by itself."""
    style, recipe = prepared
    dset = "dev" if style == "voxceleb" else next(iter(MADE[style]))
    if style == "voxceleb":
        shutil.copytree(recipe / "data" / "enrol", recipe / "data" / "dev")
    if style == "chime":
        return  # channels of several files are joined by sox alone
    options = "--nj 1 --max_rejected_ratio 0"
    command = f". ./path.sh && scripts/audio/format_wav_scp.sh {options} data/{dset} dump/{dset}"
    succeed(recipe, "bash", "-c", command)
    formatted = tables(recipe / "dump" / dset)
    assert keys(formatted["wav.scp"]) == keys(tables(recipe / "data" / dset)["utt2spk"])


def test_espnets_form_of_stage_3(prepared: tuple[str, Path]) -> None:
    """Called by a user's own script, which has not sourced path.sh."""
    style, recipe = prepared
    if style not in ("jsut", "librispeech"):
        return  # with and without segments
    dset = next(iter(MADE[style]))
    segments = ["--segments", f"data/{dset}/segments"] if style == "jsut" else []
    options = ["--nj", "2", "--cmd", "utils/run.pl", "--audio-format", "flac", "--fs", "8k", *segments]
    options += ["--multi_columns_input", "false", "--multi_columns_output", "true"]
    succeed(recipe, "scripts/audio/format_wav_scp.sh", *options, f"data/{dset}/wav.scp", f"dump/raw/{dset}")
    formatted = tables(recipe / "dump" / "raw" / dset)
    assert keys(formatted["wav.scp"]) == keys(tables(recipe / "data" / dset)["utt2spk"])
    for line in formatted["utt2num_samples"].splitlines():
        assert int(line.split()[1]) > 2000
    for line in formatted["wav.scp"].splitlines():
        assert soundfile.info(recipe / line.split()[1]).samplerate == 8000
    refused = refuse(recipe, "scripts/audio/format_wav_scp.sh", "--vad_based_trim", "true", f"data/{dset}/wav.scp", "x")
    assert "--utt2ref_channels and --vad_based_trim are not here" in refused


def test_there_are_at_least_twelve_styles() -> None:
    folders = {path.parent.name for path in Path(__file__).parent.glob("styles/*/data.sh")}
    assert folders == set(STYLES) == set(MADE) and len(folders) >= 12


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    """recipe(text) makes a recipe with that local/data.sh."""

    def make(text: str) -> Path:
        folder = tmp_path / "corpus" / "ssl1"
        assert set_up_recipe("ssl1", folder).returncode == 0
        (folder / "local" / "data.sh").write_text(text)
        return folder

    return make


def test_a_data_sh_that_fails_says_what_is_missing(recipe: Callable[[str], Path]) -> None:
    folder = recipe('#!/usr/bin/env bash\nset -eu\n. ./db.sh\n[ -n "${AN4}" ]\nutils/no_such_tool.sh\n')
    result = run(folder, "./run.sh", "--stage", "1", "--stop_stage", "1", AN4="")
    assert result.returncode == 1
    line = next(
        i for i, text in enumerate((ROOT / "egs2/TEMPLATE/ssl1/db.sh").read_text().splitlines(), 1) if " AN4=" in text
    )
    assert f"local/data.sh:4: AN4, line {line} of db.sh" in result.stdout
    assert "local/data.sh:5: utils/no_such_tool.sh" in result.stdout


def test_a_data_sh_that_works_says_nothing_more(recipe: Callable[[str], Path]) -> None:
    folder = recipe("mkdir -p data; echo made > data/note\n")
    (folder / "local" / "data.sh").chmod(0o644)
    output = succeed(folder, "scripts/corpus/run_data.sh")
    assert len(output.splitlines()) == 1 and "run with bash" in output
    assert subprocess.run(["cat", "data/note"], cwd=folder, capture_output=True, check=True).stdout == b"made\n"
