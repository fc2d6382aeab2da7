"""local/path.sh of a recipe in, what path.sh takes of it out; where compiled Python goes in another's toolkit."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from recipe_folders import run, succeed
from repository import ROOT

PATH_SH = ROOT / "egs2/TEMPLATE/ssl1/path.sh"
SHOW = 'set -euo pipefail; . ./path.sh; . ./path.sh; echo "FOO=${FOO:-} $- $(command -v python3)"'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "path.sh").symlink_to(PATH_SH)
    (tmp_path / "local").mkdir()
    return tmp_path


def source(recipe: Path, text: str) -> list[str]:
    """The lines after sourcing path.sh twice; the last one says FOO, the flags of the shell and its Python."""
    (recipe / "local" / "path.sh").write_text(text)
    return succeed(recipe, "bash", "-c", SHOW).splitlines()


def test_what_it_sets_is_there(recipe: Path) -> None:
    plain = source(recipe, "")[-1]
    lines = source(recipe, "export FOO=bar\nfalse\ntrue\n")
    assert lines == [plain.replace("FOO=", "FOO=bar")]  # errexit and nounset as before


@pytest.mark.parametrize(
    "text",
    [
        "if ! command -v tokenizer.perl.of.moses > /dev/null; then echo no moses >&2; return 1; fi\nexport FOO=bar\n",
        "export FOO=bar\nexit 0\n",
        "export FOO=bar\necho $NO_SUCH_VARIABLE\n",
        "export FOO=bar\nif then\n",
    ],
)
def test_one_that_does_not_end_well_is_left_out_once_said(recipe: Path, text: str) -> None:
    lines = source(recipe, text)
    assert lines[-1].startswith("FOO= ") and len(lines) == 2
    assert "local/path.sh is left out: it fails here" in lines[0]


def test_another_python_does_not_come_first(recipe: Path) -> None:
    (recipe / "bin").mkdir()
    (recipe / "bin" / "python3").write_text("#!/bin/sh\n")
    (recipe / "bin" / "python3").chmod(0o755)
    lines = source(recipe, "export PATH=$PWD/bin:$PATH\nexport FOO=bar\n")
    assert "puts another Python first: PATH stays as it was" in lines[0]
    assert lines[-1].startswith("FOO=bar ") and str(recipe) not in lines[-1]


def test_kaldi_root_is_where_recipes_look(recipe: Path) -> None:
    show = '. ./path.sh; "${KALDI_ROOT}/tools/sph2pipe_v2.5/sph2pipe"; echo "${KALDI_ROOT}"'
    output = run(recipe, "bash", "-c", show).stdout
    assert "usage: sph2pipe" in output and output.splitlines()[-1] == str(ROOT / "tools/kaldi")
    given = run(recipe, "bash", "-c", '. ./path.sh; echo "${KALDI_ROOT}"', KALDI_ROOT="/a/kaldi").stdout
    assert given == "/a/kaldi\n"


def test_a_toolkit_of_somebody_else_is_not_written_to(tmp_path: Path) -> None:
    """Kept by root and used by another: only root can make that here; else the owner's own case is looked at."""
    utils = tmp_path / "utils"
    shutil.copytree(ROOT / "utils", utils, ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    if os.getuid() == 0:
        os.chown(utils, 12345, 12345)
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    command = [str(utils / "filter_scp.pl"), "/dev/null", "/dev/null"]
    subprocess.run(command, check=True, env=environment)
    written = list(utils.rglob("__pycache__"))
    if os.getuid() == 0:
        assert not written and list(cache.rglob("kaldi_lib*.pyc"))
    else:
        assert written and not cache.exists()
