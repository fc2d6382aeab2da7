"""doc/tutorial.md in, every block of its commands run in order in a copy of the repository out."""

import re
import shutil
from pathlib import Path

import pytest
from recipe_folders import run
from repository import ROOT, repository_files

TUTORIAL = ROOT / "doc/tutorial.md"
SHORT = {"DEMO_OPTIONS": "--max_update 2"}  # as the page says; everything else is run as it is written
ENVIRONMENT_IS_THERE = "#!/usr/bin/env bash\n# The test's own environment is active.\nexit 0\n"


def blocks_of(text: str) -> list[str]:
    """The commands of each ```bash block.

    >>> blocks_of("a\\n```bash\\nls\\n```\\n```text\\nb\\n```\\n")
    ['ls\\n']
    """
    return re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def copy_of_the_repository(target: Path) -> Path:
    """Its own files, without what running it has made. Returns the copy."""
    for path in repository_files():
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)
    (target / "tools/setup_env.sh").write_text(ENVIRONMENT_IS_THERE)
    return target


def test_there_are_blocks_and_no_commands_outside_them() -> None:
    text = TUTORIAL.read_text()
    assert len(blocks_of(text)) >= 8
    rest = re.sub(r"^```bash\n.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "```" not in rest and not re.search(r"^    \S", rest, re.MULTILINE)


@pytest.mark.recipes
@pytest.mark.timeout(1800)
def test_every_block_runs(tmp_path: Path) -> None:
    copy = copy_of_the_repository(tmp_path / "toolkit")
    for number, block in enumerate(blocks_of(TUTORIAL.read_text()), 1):
        result = run(copy, "bash", "-euo", "pipefail", "-c", block, timeout=900, **SHORT)
        assert result.returncode == 0, f"block {number} of {TUTORIAL.name}:\n{block}\n{result.stdout[-6000:]}"
    assert list(copy.glob("egs2/my_corpus/hubert1/exp/*/report.html"))
    assert not list(ROOT.glob("egs2/my_corpus"))
