"""The comparison's defaults in; that they name every objective, and every config it needs, out."""

import os
import re
import subprocess

import pytest

from espnet2.ssl.objective import objective_names
from espnet2.utils.recipe import find_in_recipe

SCRIPT = "egs2/TEMPLATE/ssl1/scripts/train/compare_objectives.sh"
# Its schedule counts updates, and the comparison gives each method as many as fit into the time: name it to have it.
NOT_BY_DEFAULT = {"distilhubert", "online_hubert"}


def test_every_objective_is_compared(root):
    (named,) = re.findall(r'^objectives="(.*)"$', (root / SCRIPT).read_text(), re.MULTILINE)
    assert sorted(named.split()) == sorted(set(objective_names()) - NOT_BY_DEFAULT)


@pytest.mark.parametrize("corpus", ["mini_espeak", "festvox_ru"])
@pytest.mark.parametrize("objective", objective_names())
def test_every_recipe_has_its_mini_config(root, corpus, objective):
    assert find_in_recipe(root / f"egs2/{corpus}/ssl1/conf/train_{objective}_mini.yaml").is_file()


def test_an_objective_without_a_config_is_named_before_anything_is_made(root):
    recipe = root / "egs2/mini_espeak/ssl1"
    command = ["bash", "scripts/train/compare_objectives.sh", "--objectives", "hubrt", "--tag", "never_made"]
    result = subprocess.run(command, cwd=recipe, env=os.environ, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1 and "conf/train_hubrt_mini.yaml is missing" in result.stderr
    assert not (recipe / "exp/compare_never_made").exists()
