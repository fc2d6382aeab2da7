"""setup.py's ranges and the pinned requirement files in, every package that the two treat differently out."""

import re
import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

EXTRAS_FOR_TESTS = ("audio", "eval", "test", "doc", "bench")


def pins(root: Path, name: str, python: str) -> dict[str, str]:
    """Return canonical package name -> pinned version of one requirement file, as that Python sees it."""
    lines = (root / "tools" / name).read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    valid = [r for r in requirements if r.marker is None or r.marker.evaluate({"python_version": python})]
    for requirement in valid:
        assert [s.operator for s in requirement.specifier] == ["=="], f"{name}: {requirement} is not pinned"
    versions = {canonicalize_name(r.name): next(iter(r.specifier)).version for r in valid}
    assert len(versions) == len(valid), f"{name}: a package is pinned twice"
    return versions


@pytest.fixture(scope="module")
def ranges(root: Path) -> dict:
    """The lists of setup.py, read without running it."""
    return runpy.run_path(str(root / "setup.py"))


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.14"])
def test_every_required_package_has_a_pin_within_its_range(root: Path, ranges: dict, python: str) -> None:
    core = pins(root, "requirements.txt", python)
    everything = core | pins(root, "requirements-test.txt", python)
    for_tests = [item for extra in EXTRAS_FOR_TESTS for item in ranges["EXTRAS"][extra]]
    for available, requirements in ((core, ranges["REQUIRED"] + ranges["EXTRAS"]["recipe"]), (everything, for_tests)):
        for requirement in map(Requirement, requirements):
            version = available.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} has no pin for Python {python}"
            assert requirement.specifier.contains(version), f"{requirement} excludes its own pin {version}"


def locked(root: Path, kind: str, python: str) -> dict[str, str]:
    """Return canonical package name -> version of a list of tools/lock.sh, whose every entry has hashes."""
    text = (root / f"tools/locked-{kind}.txt").read_text()
    entries = re.findall(r"^([^#\s].*?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[^#\s]", text, re.MULTILINE)), f"locked-{kind}.txt: an entry has no hash"
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    requirements = [Requirement(line) for line, _ in entries]
    valid = [r for r in requirements if r.marker is None or r.marker.evaluate(environment)]
    return {canonicalize_name(r.name): next(iter(r.specifier)).version for r in valid}


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.14"])
def test_the_locked_versions_are_the_pinned_ones(root: Path, python: str) -> None:
    pinned = pins(root, "requirements.txt", python)
    constrained = pins(root, "constraints.txt", python)
    cuda, cpu = locked(root, "cuda", python), locked(root, "cpu", python)
    remedy = "tools/lock.sh makes the lists anew"
    assert {name: cuda.get(name) for name in pinned} == pinned, remedy
    assert {name: cuda[name] for name in cuda.keys() & constrained.keys()} == {
        name: constrained[name] for name in cuda.keys() & constrained.keys()
    }, remedy
    only_cuda = {name for name in cuda if name.startswith(("nvidia-", "cuda-"))} | {"torch", "torchaudio", "triton"}
    assert cpu == {name: version for name, version in cuda.items() if name not in only_cuda}, remedy


@pytest.mark.parametrize("python", ["3.10", "3.11"])
def test_constraints_do_not_repeat_the_pins(root: Path, python: str) -> None:
    direct = pins(root, "requirements.txt", python) | pins(root, "requirements-test.txt", python)
    assert not set(direct) & set(pins(root, "constraints.txt", python))


def test_the_distribution_is_not_called_as_pypis_espnet(ranges: dict) -> None:
    assert canonicalize_name(ranges["NAME"]) not in ("espnet", "espnet2")
