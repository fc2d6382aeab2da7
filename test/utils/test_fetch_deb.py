"""A machine whose apt is made up in; what utils/fetch_deb.sh fetches, and says where it cannot, out."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

# Knows the packages of its list, each at an address that apt-helper writes into the file.
APT_GET = """#!/bin/bash
echo "$*" >> "{log}"
while [[ $1 == -o ]]; do shift 2; done
[ "$1" = update ] && exit {update_status}
shift 2
for package; do
    [[ " {known} " == *" ${{package}} "* ]] || {{ echo "E: Unable to locate package ${{package}}" >&2; exit 100; }}
    echo "'http://mirror/${{package}}_1_all.deb' ${{package}}_1_all.deb 2000000 SHA256:abc"
done
"""
APT_HELPER = """#!/bin/bash
while [[ $1 == -o ]]; do shift 2; done
[[ $2 == *{broken}* ]] && exit 1
echo "$2 $4" > "$3"
"""


def write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def fetch(folder: Path, *packages: str, known: str = "first second", broken: str = "nothing", update_status: int = 0):
    """Run utils/fetch_deb.sh with a made-up apt first on the PATH."""
    apt = folder / "apt"
    text = APT_GET.format(log=folder / "apt.log", known=known, update_status=update_status)
    write_program(apt / "apt-get", text)
    write_program(apt / "apt-helper", APT_HELPER.format(broken=broken))
    command = [str(ROOT / "utils/fetch_deb.sh"), str(folder / "down loads"), *packages]
    path = f"{apt}:{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=60)


def test_what_is_missing_is_fetched_and_what_is_there_is_left_alone(tmp_path: Path) -> None:
    there = tmp_path / "down loads" / "first_0.9_amd64.deb"
    there.parent.mkdir()
    there.write_text("mine")
    result = fetch(tmp_path, "first", "second")
    assert result.returncode == 0, result.stderr
    assert "fetching second_1_all.deb (2 MB)" in result.stderr and there.read_text() == "mine"
    assert (there.parent / "second_1_all.deb").read_text() == "http://mirror/second_1_all.deb SHA256:abc\n"
    assert sorted(path.name for path in there.parent.iterdir()) == [there.name, "second_1_all.deb"]
    (tmp_path / "apt.log").unlink()
    assert fetch(tmp_path, "first", "second").returncode == 0 and not (tmp_path / "apt.log").exists()


def test_a_package_that_no_list_has_is_asked_for_after_an_update(tmp_path: Path) -> None:
    result = fetch(tmp_path, "first", "third")
    assert result.returncode != 0 and "Unable to locate package third" in result.stderr
    calls = (tmp_path / "apt.log").read_text().splitlines()
    assert "Dir::State::lists=" in calls[1] and calls[1].endswith("update") and "Dir::State::lists=" in calls[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"known": "", "update_status": 1}, "apt-get update failed"),
        ({"broken": "second"}, "apt could not fetch second_1_all.deb"),
    ],
)
def test_errors_say_what_to_do(tmp_path: Path, options: dict, message: str) -> None:
    result = fetch(tmp_path, "first", "second", **options)
    assert result.returncode != 0 and message in result.stderr
    assert "from a Debian mirror" in result.stderr and "down loads/ and run again" in result.stderr
    assert not list((tmp_path / "down loads").glob("second*"))
