"""Old names of modules: each leads to the module that is there now, the very same one."""

import importlib
import subprocess
import sys

import pytest
from repository import ROOT

from espnet2.moved import MOVED, PACKAGES, new_name

OLD = [f"espnet2.{name}" for name in (*MOVED, *PACKAGES)]


@pytest.mark.parametrize("old", OLD)
def test_every_old_name_has_a_module(old):
    path = ROOT / str(new_name(old)).replace(".", "/")
    assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_module_is_the_same_one_under_both_names():
    old, new = (importlib.import_module(name) for name in ("espnet2.ssl.units.kmeans", "espnet2.units.kmeans"))
    assert old is new and new.__spec__.name == "espnet2.units.kmeans"
    from espnet2.ssl.evaluate.alignment import find_phones

    from espnet2.units import alignment

    assert find_phones is alignment.find_phones


def test_nothing_of_it_is_loaded_before_it_is_asked_for():
    program = "import espnet2, sys; assert not {'torch', 'numpy', 'espnet2.units'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
