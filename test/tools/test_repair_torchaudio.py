"""A fake torchaudio with libraries that do not load in, moved libraries or a remedy out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Fails as torchaudio does: if a library is there, it cannot be loaded.
FAKE_INIT = """
from pathlib import Path
if list((Path(__file__).parent / "lib").glob("*.so")):
    raise OSError("Could not load this library: libc10_cuda.so")
"""


def make_package(environment: Path, init: str = FAKE_INIT) -> Path:
    """Install a fake torchaudio with two native libraries; return the folder they are in."""
    lib = environment / "site-packages" / "torchaudio" / "lib"
    lib.mkdir(parents=True)
    for name in ("libtorchaudio.so", "_torchaudio.abi3.so"):
        (lib / name).write_text("not a library")
    (lib.parent / "__init__.py").write_text(init)
    return lib


def repair(root: Path, environment: Path, owned: Path) -> subprocess.CompletedProcess:
    """Run the repair where `environment` holds torchaudio and only `owned` may be changed."""
    return subprocess.run(
        [sys.executable, str(root / "tools" / "repair_torchaudio.py"), "--owned_environment", str(owned)],
        env=os.environ | {"PYTHONPATH": str(environment / "site-packages")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("num_moved_before", [0, 1])  # 1: a repair that was interrupted
def test_own_environment_is_repaired_once(root: Path, tmp_path: Path, num_moved_before: int) -> None:
    lib = make_package(tmp_path / "own venv")
    for library in sorted(lib.glob("*.so"))[:num_moved_before]:
        (lib / "unused").mkdir(exist_ok=True)
        library.rename(lib / "unused" / library.name)
    first = repair(root, tmp_path / "own venv", tmp_path / "own venv")
    assert first.returncode == 0 and "repaired" in first.stdout, first
    assert not list(lib.glob("*.so")) and len(list((lib / "unused").glob("*.so"))) == 2
    second = repair(root, tmp_path / "own venv", tmp_path / "own venv")
    assert second.returncode == 0 and "nothing to repair" in second.stdout


def test_users_environment_only_gets_the_remedy_and_the_remedy_works(root: Path, tmp_path: Path) -> None:
    lib = make_package(tmp_path / "users env")
    result = repair(root, tmp_path / "users env", tmp_path / "own")
    assert result.returncode == 1 and len(list(lib.glob("*.so"))) == 2
    command = result.stderr.strip().splitlines()[-1]
    subprocess.run(["bash", "-c", command], check=True)
    assert repair(root, tmp_path / "users env", tmp_path / "own").returncode == 0


@pytest.mark.parametrize("init", ["import a_package_that_is_not_there", "raise RuntimeError('other')"])
def test_another_fault_is_not_called_repaired(root: Path, tmp_path: Path, init: str) -> None:
    make_package(tmp_path, init)
    result = repair(root, tmp_path, tmp_path)
    assert result.returncode == 1 and "does not import" in result.stderr
    assert "Traceback" not in result.stderr
