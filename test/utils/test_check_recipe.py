"""Recipe folders written here in, what utils/check_recipe.sh says that they need out; how it reads shell scripts."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "utils" / "recipe_check"))
import shell_text

DATA = """#!/usr/bin/env bash
set -euo pipefail
log() { echo "$*"; }
stage=1
with_lm=false
. utils/parse_options.sh
. ./db.sh
. ./path.sh
if [ -z "${AN4}" ] || [ -z "${NO_SUCH_CORPUS}" ]; then log "Fill utils/not_a_call.sh"; exit 1; fi
: "${NEWER_CORPUS:-}"
local/prepare.sh --nj 4 "${AN4}" | sort > data/x  # utils/in_a_comment.sh
python3 - << EOF
import json
import a_package_that_nobody_has
EOF
if ${with_lm}; then
    utils/build_the_lm.sh data
fi
utils/fix_data_dir.sh data/train && utils/no_such_tool.sh data/train
"""
PREPARE = """#!/usr/bin/env bash
for f in $(find "$1" -name '*.sph'); do echo "$(basename "$f") sph2pipe -f wav -p $f |"; done
no_such_program --x
local/prepare.py
if ! which mpg123 >& /dev/null; then exit 1; fi
"""
PREPARE_PY = """import os
import numpy
import espnet2.utils.no_such_module
from helper import x
try:
    import optional_package
except ImportError:
    optional_package = None
"""


@pytest.fixture
def recipe(write: Callable[[str, Mapping[str, str]], Path]) -> Path:
    files = {"data.sh": DATA, "prepare.sh": PREPARE, "prepare.py": PREPARE_PY, "helper.py": "import wave\n"}
    write("recipe/local", files)
    return write("recipe", {})


def check(*arguments: object) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name not in ("AN4", "NO_SUCH_CORPUS")}
    command = [str(ROOT / "utils" / "check_recipe.sh"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_what_is_missing_is_named_with_its_place(recipe: Path) -> None:
    result = check(recipe)
    assert result.returncode == 1
    lines = [line.strip() for line in result.stdout.splitlines()]
    assert lines[0] == f"{recipe}: the toolkit lacks a part"
    missing = lines[
        lines.index("not in this toolkit:") + 1 : lines.index("not in this toolkit, and needed only with an option:")
    ]
    assert missing == [
        "local/prepare.py:3: espnet2.utils.no_such_module (models and tools of other tasks)",
        "local/data.sh:19: utils/no_such_tool.sh",
    ]
    assert any("local/data.sh:17: utils/build_the_lm.sh" in line and "--with_lm true" in line for line in lines)
    assert "local/data.sh:14: Python package a_package_that_nobody_has: pip install a-package-that-nobody-has" in lines
    assert any(line.startswith("local/prepare.sh:3: program no_such_program") for line in lines)
    if shutil.which("mpg123") is None:
        assert any(line.startswith("local/prepare.sh:5: program mpg123") for line in lines)


def test_an_unset_corpus_says_which_line_of_db_sh(recipe: Path) -> None:
    number = 1 + next(
        index
        for index, line in enumerate((ROOT / "egs2/TEMPLATE/ssl1/db.sh").read_text().splitlines())
        if " AN4=" in line
    )
    output = check(recipe).stdout
    assert f"local/data.sh:9: AN4, line {number} of db.sh" in output
    assert "local/data.sh:9: NO_SUCH_CORPUS, which db.sh does not have" in output
    assert "NEWER_CORPUS" not in output  # it has a default


def test_what_is_here_or_no_call_is_not_told(recipe: Path) -> None:
    output = check(recipe).stdout
    for name in ("not_a_call", "in_a_comment", "optional_package", "numpy", "helper", "fix_data_dir", "json", "wave"):
        assert name not in output, name


def test_the_summary_counts_recipes(recipe: Path, write: Callable[[str, Mapping[str, str]], Path]) -> None:
    write("good/local", {"data.sh": "#!/usr/bin/env bash\n. ./db.sh\nls ${AN4}\nutils/fix_data_dir.sh data/a\n"})
    result = check("--summary", recipe, recipe.parent / "good")
    assert result.stdout.splitlines()[1] == f"{recipe.parent / 'good'}: ok"
    assert result.stdout.splitlines()[2].startswith("1 of 2 ") and result.returncode == 1


def test_a_folder_without_data_sh_is_one_line(tmp_path: Path) -> None:
    result = check(tmp_path)
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1 and "local/data.sh" in result.stderr
    assert "usage: " in check().stderr and check().returncode == 1


def test_a_recipe_of_kaldi_begins_elsewhere(recipe: Path, tmp_path: Path) -> None:
    output = check("--start", "local/prepare.sh", recipe).stdout
    assert "local/prepare.sh:3: program no_such_program" in output and "no_such_tool.sh" not in output
    result = check("--start", "local/none.sh", recipe)
    assert result.returncode == 1 and "no such file" in result.stderr and "local/none.sh" in result.stderr
    assert check("--start").returncode == 1


def test_our_own_recipes_need_nothing() -> None:
    recipes = sorted(path.parent.parent for path in (ROOT / "egs2").glob("[a-z]*/ssl1/local/data.sh"))
    assert len(recipes) > 10
    result = check("--summary", *recipes)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("a 'b;c' \"d | e\" # f\n", [("a", "b;c", "d | e")]),
        ("x=$(a b | c) d\n", [("a", "b"), ("c",), ("d",)]),
        ("if a; then b; elif c; then d; fi\n", [("a",), ("b",), ("c",), ("d",)]),
        ("case $x in a|b) c ;; *) d ;; esac\ne\n", [("c",), ("d",), ("e",)]),
        ("a > b 2>&1 < c\nd &> e\n", [("a",), ("d",)]),
        ("a \\\n  b\nc\n", [("a", "b"), ("c",)]),
        ("cat << EOF | a\nb c\nEOF\nd\n", [("cat",), ("a",), ("d",)]),
        ("a=(b c)\nd `e f`\n", [("e", "f"), ("d", "`...`")]),
        ("[[ a && b ]] && c\n", [("[[", "a", "b", "]]"), ("c",)]),
        ("f () { a; }\nfor x in 1 2; do b; done\n", [("a",), ("for", "x", "in", "1", "2"), ("b",)]),
        ("while read -r x; do a <(b); done\n", [("read", "-r", "x"), ("b",), ("a", "<(...)")]),
    ],
)
def test_the_commands_of_a_script(text: str, commands: list[tuple[str, ...]]) -> None:
    command_words = [command.words for command in shell_text.read_script(text).commands]
    assert [words for words in command_words if words[0] != "case"] == commands


def test_variables_that_must_be_set() -> None:
    script = shell_text.read_script(
        "a $A ${B} ${C:-x} ${D-} ${E:?} '$F' \"${G}/x\" \\$H ${#I} ${J%.wav}\nK=1; read L\n"
    )
    assert set(script.uses) == {"A", "B", "G", "I", "J"}
    assert {"K", "L"} <= script.sets


def test_it_runs_from_a_recipe_whose_utils_is_a_link(recipe: Path) -> None:
    (recipe / "utils").symlink_to(ROOT / "utils")
    command = ["utils/check_recipe.sh", "--hint", "."]
    result = subprocess.run(command, capture_output=True, text=True, cwd=recipe, check=False)
    assert "local/data.sh:19: utils/no_such_tool.sh" in result.stdout and not result.stderr
