"""A config's name as a user types it in, the file of the recipe or of its template out, in Python and in the shell."""

import subprocess
from pathlib import Path

import pytest
from repository import ROOT

from espnet2.utils.config import load_yaml
from espnet2.utils.errors import UserError
from espnet2.utils.recipe import find_in_recipe

CONFIGS_SH = ROOT / "egs2/TEMPLATE/ssl1/scripts/common/configs.sh"


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with a config of its own, made by hand; its template has that name too. It is the working folder."""
    template, folder = tmp_path / "the template", tmp_path / "my corpus/ssl1"
    for path, text in {
        template / "path.sh": "",
        template / "conf/train_a_mini.yaml": "seed: 1\n",
        template / "conf/train_b_mini.yaml": "seed: 2\n",
        template / "conf/tuning/train_c.yaml": "seed: 3\n",
        folder / "conf/train_b_mini.yaml": "seed: 20\n",
        folder / "conf/train_d_mini.yaml": "seed: 40\n",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "path.sh").symlink_to(template / "path.sh")
    monkeypatch.chdir(folder)
    return folder


def shell(command: str) -> subprocess.CompletedProcess:
    """Run shell lines behind configs.sh."""
    script = f'set -euo pipefail\n. "{ROOT}/utils/log.sh"\n. "{CONFIGS_SH}"\n{command}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)


# The name -> its seed; None where there is no such file.
NAMES = {
    "conf/train_a_mini.yaml": 1,  # the template's
    "conf/train_b_mini.yaml": 20,  # the recipe's own wins
    "conf/train_d_mini.yaml": 40,
    "conf/tuning/train_c.yaml": 3,
    "./conf/train_a_mini.yaml": 1,
    "../ssl1/conf/train_a_mini.yaml": 1,  # as another recipe names it
    "conf/train_none.yaml": None,
    "train_a_mini.yaml": None,  # not in conf/
    "myconf/train_a_mini.yaml": None,
    "../conf/train_a_mini.yaml": None,  # no recipe: no path.sh
    "gone/conf/train_a_mini.yaml": None,
    "conf": None,
    "": None,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("absolute", [False, True])
def test_where_a_config_is(recipe: Path, name: str, absolute: bool) -> None:
    if absolute and name:
        name, seed = str(recipe / name), NAMES[name]
    else:
        seed = NAMES[name]
    in_shell = shell(f'find_config "{name}"')
    if seed is None:
        assert find_in_recipe(name) == Path(name)
        assert in_shell.returncode == 1 and in_shell.stdout == "" and in_shell.stderr == ""
    else:
        assert load_yaml(name) == {"seed": seed}
        assert Path(in_shell.stdout.rstrip("\n")).samefile(find_in_recipe(name))


def test_a_link_that_leads_nowhere_counts_as_absent(recipe: Path) -> None:
    """A recipe made with the links of earlier versions, moved without its template."""
    (recipe / "conf/train_a_mini.yaml").symlink_to("../../TEMPLATE/ssl1/conf/train_a_mini.yaml")
    assert load_yaml("conf/train_a_mini.yaml") == {"seed": 1}
    assert shell("find_config conf/train_a_mini.yaml").returncode == 0


def test_a_name_that_is_nowhere_is_told_as_it_was_typed(recipe: Path) -> None:
    with pytest.raises(UserError, match=r"^conf/train_none\.yaml: no such config file"):
        load_yaml("conf/train_none.yaml")


@pytest.mark.parametrize(
    ("name", "message"), [("conf/none.yaml", "conf/none.yaml: no such file; there are:"), ("", "is required: one of")]
)
def test_the_message_lists_the_configs_of_both(recipe: Path, name: str, message: str) -> None:
    result = shell(f'require_config "{name}"; echo gone on')
    assert result.returncode == 1 and "gone on" not in result.stdout
    listed = "conf/train_a_mini.yaml conf/train_b_mini.yaml conf/train_d_mini.yaml"
    assert message in result.stderr and result.stderr.endswith(f" {listed}\n")


def test_the_template_is_a_recipe_like_any_other(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe / "../../the template")
    assert load_yaml("conf/train_a_mini.yaml") == {"seed": 1}
    assert find_in_recipe("conf/train_d_mini.yaml") == Path("conf/train_d_mini.yaml")
