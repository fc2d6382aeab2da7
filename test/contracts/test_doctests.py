"""Every docstring example of the package and the tools in, those that do not give what they show out."""

import doctest
import importlib.util
import sys
from pathlib import Path

import pytest
from repository import ROOT, python_files, relative, text_of

WITH_EXAMPLES = [p for p in python_files() if p.suffix == ".py" and "\n    >>> " in (text_of(p) or "")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=relative)
def test_examples_run(path: Path, monkeypatch) -> None:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if name.startswith("espnet2."):
        module = importlib.import_module(name)
    else:  # a program outside the package, which imports what lies beside it
        monkeypatch.syspath_prepend(str(path.parent))
        spec = importlib.util.spec_from_file_location(f"examples_of_{path.stem}", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # typing.NamedTuple and dataclasses look their module up
        spec.loader.exec_module(module)
    failed, attempted = doctest.testmod(module)
    assert attempted and not failed, f"{failed} of {attempted} examples of {relative(path)} failed"
