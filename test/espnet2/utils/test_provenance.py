"""A source folder in every state it can be in -> what is said of it; starts of a run -> what the next one says."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import espnet2
from espnet2.utils import provenance
from espnet2.utils.errors import UserError
from espnet2.utils.provenance import STARTS, Code, add_start, current_code, distinct_codes, read_starts, start_now

FIRST = Code("0.1.0", "a" * 40)
SECOND = Code("0.2.0", "b" * 40, "0123456789abcdef")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    return subprocess.run(["git", "-C", folder, *who, *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A repository with a package in it, which takes the place of ours."""
    root = tmp_path / "clone"
    for name in ("espnet2/__init__.py", "espnet2/a.py", "utils/b.pl", "egs2/run.sh"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
    (root / ".gitignore").write_text("*.pyc\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "all")
    monkeypatch.setattr(provenance, "source_root", lambda: root)
    return root


def test_a_clean_clone(source):
    assert current_code() == Code(espnet2.__version__, git(source, "rev-parse", "HEAD").strip())


@pytest.mark.parametrize(
    "name, is_a_change",
    [
        ("espnet2/a.py", True),
        ("utils/b.pl", True),
        ("espnet2/ssl/objective/mine.py", True),  # a new file, not added
        ("espnet2/a.pyc", False),  # ignored
        ("egs2/run.sh", False),  # no code of the package: the config and the command say what a recipe did
        ("notes.txt", False),
    ],
)
def test_what_counts_as_a_change(source, name, is_a_change):
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_text("another\n")
    assert (current_code().changes is not None) == is_a_change


def test_changes_have_a_hash_of_their_own_and_can_be_applied_again(source, tmp_path):
    (source / "espnet2/a.py").write_text("changed\n")
    one = current_code().changes
    (source / "espnet2/new.py").write_text("first\nsecond\n")
    git(source, "rm", "-q", "--cached", "utils/b.pl")
    (source / "utils/b.pl").unlink()
    code = current_code(keep_changes_in=tmp_path)
    assert code.changes not in (one, None) and code == current_code()
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(source), str(other))
    git(other, "apply", str(tmp_path / f"code_{code.changes}.diff"))
    assert (other / "espnet2/a.py").read_text() == "changed\n"
    assert (other / "espnet2/new.py").read_text() == "first\nsecond\n"
    assert not (other / "utils/b.pl").exists()


def test_a_copy_inside_a_labs_own_repository(source, tmp_path, monkeypatch):
    """Its commit is that of the lab; what else changes there is none of ours."""
    lab = tmp_path / "lab"
    shutil.copytree(source, lab / "toolkit", ignore=shutil.ignore_patterns(".git"))
    git(lab, "init", "-q")
    git(lab, "add", ".")
    git(lab, "commit", "-qm", "lab")
    (lab / "paper.tex").write_text("text\n")
    monkeypatch.setattr(provenance, "source_root", lambda: lab / "toolkit")
    assert current_code() == Code(espnet2.__version__, git(lab, "rev-parse", "HEAD").strip())
    (lab / "toolkit/espnet2/a.py").write_text("changed\n")
    assert current_code().changes


def test_installed_below_somebody_elses_repository(source, tmp_path, monkeypatch):
    site = source / "venv/site-packages"
    shutil.copytree(source / "espnet2", site / "espnet2")
    monkeypatch.setattr(provenance, "source_root", lambda: site)
    monkeypatch.setattr(provenance, "_installed_commit", lambda: None)
    code = current_code()
    assert (code.commit, code.problem) == (None, "the code lies in no git repository")
    monkeypatch.setattr(provenance, "_installed_commit", lambda: "c" * 40)
    assert current_code() == Code(espnet2.__version__, "c" * 40)


def test_no_git_program_and_one_that_stands_still(source, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_installed_commit", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert current_code().problem == "there is no git program"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setattr(provenance, "GIT_SECONDS", 0.2)
    assert "git took more than 0.2 s" in current_code().describe()


def test_starts_are_kept_in_their_order(tmp_path):
    for update, code in ((0, FIRST), (10, FIRST), (20, SECOND), (30, FIRST)):
        add_start(tmp_path, start_now(code, update=update, device="CPU"))
    starts = read_starts(tmp_path)
    assert [start.update for start in starts] == [0, 10, 20, 30]
    assert distinct_codes(starts) == [FIRST, SECOND, FIRST]
    assert starts[0].libraries["torch"] and starts[0].command and starts[0].host
    assert SECOND.describe() == "espnet2-ssl 0.2.0, commit bbbbbbbbbb with changes 0123456789abcdef"


def test_the_next_start_says_when_the_code_is_another(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "current_code", lambda keep_changes_in: FIRST)
    assert provenance.record_start(tmp_path, update=0, device="CPU") == (f"code: {FIRST.describe()}", "")
    assert provenance.record_start(tmp_path, update=5, device="CPU")[1] == ""
    monkeypatch.setattr(provenance, "current_code", lambda keep_changes_in: SECOND)
    line, warning = provenance.record_start(tmp_path, update=7, device="CPU")
    assert line == f"code: {SECOND.describe()}"
    assert warning.startswith("from update 7 on this is other code than before: espnet2-ssl 0.1.0, commit aaaaaaaaaa")


def test_a_line_cut_short_is_left_out_and_a_strange_one_refused(tmp_path):
    start = replace(start_now(FIRST, update=0, device="CPU"), time="t")
    add_start(tmp_path, start)
    path = tmp_path / STARTS
    path.write_text(path.read_text()[:-20])
    add_start(tmp_path, start)  # on a line of its own
    assert read_starts(tmp_path) == [start]
    path.write_text('{"code": {"version": "1"}}\n')
    with pytest.raises(UserError, match=r"provenance\.jsonl:1: no start of a run"):
        read_starts(tmp_path)
    assert read_starts(tmp_path / "none") == []
