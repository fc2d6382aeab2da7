"""Which code made something: version, commit, changes, libraries, host and command, kept beside what was made."""

import difflib
import importlib.metadata
import json
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

import espnet2
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_bytes

DISTRIBUTION = "espnet2-ssl"
STARTS = "provenance.jsonl"  # in exp/<name>: a line for each start
COMMIT = "commit.txt"  # in the package of a distribution: setup.py writes it
# What the numbers of a training depend on; tools/constraints.txt pins the rest.
LIBRARIES = ("torch", "torchaudio", "numpy", "kaldiio", "soundfile", "soxr", "sentencepiece", "pydantic", "safetensors")
CODE_FOLDERS = ("espnet2", "utils")  # a changed recipe shows in config.yaml and in the command
GIT_SECONDS = 20.0  # a repository on a slow network disk must not hold up a training
MOST_DIFF_BYTES = 10_000_000  # of changes that are kept; of more there is only the hash
SHOWN_CHARACTERS = 10  # of a commit


@dataclass(frozen=True)
class Code:
    """A state of the toolkit's source."""

    version: str
    commit: str | None  # 40 hexadecimal digits; None where the code lies in no git repository
    changes: str | None = None  # hash of what differs from the commit, new files included; None where nothing does
    problem: str = ""  # why the commit is not known

    def describe(self) -> str:
        """In a few words, for logs and pages."""
        if self.commit is None:
            return f"{DISTRIBUTION} {self.version}, commit unknown ({self.problem})"
        changed = f" with changes {self.changes}" if self.changes else ""
        return f"{DISTRIBUTION} {self.version}, commit {self.commit[:SHOWN_CHARACTERS]}{changed}"


@dataclass(frozen=True)
class Start:
    """One start of a program: what ran, where, on what."""

    time: str  # ISO 8601, UTC
    update: int  # where the run stood; 0 for a new one
    code: Code
    python: str
    libraries: Mapping[str, str]  # name -> version, of those that are installed
    host: str
    device: str
    command: str  # as a shell would take it


def library_versions() -> dict[str, str]:
    """Name -> version of the libraries that numbers depend on, as far as they are installed."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def record_start(folder: Path, *, update: int, device: str) -> tuple[str, str]:
    """Add this process to exp/<name>/provenance.jsonl, and what its source has beyond its commit as a diff beside it.

    Args:
        folder: exp/<name>.
        update: where the run stands.
        device: what it computes on.

    Returns:
        A line for the log, and a warning where the run has begun with other code ("" where not).

    Raises:
        UserError: a line of the file is something else.
    """
    earlier = distinct_codes(read_starts(folder))
    code = current_code(keep_changes_in=folder)
    add_start(folder, start_now(code, update=update, device=device))
    if not earlier or earlier[-1] == code:
        return f"code: {code.describe()}", ""
    return (
        f"code: {code.describe()}",
        f"from update {update} on this is other code than before: {earlier[-1].describe()} until now, "
        f"{code.describe()} from here; {folder / STARTS} lists every start",
    )


def start_now(code: Code, *, update: int, device: str) -> Start:
    """This process, as a line of `STARTS`."""
    return Start(
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        update=update,
        code=code,
        python=platform.python_version(),
        libraries=library_versions(),
        host=socket.gethostname(),
        device=device,
        command=shlex.join(sys.orig_argv),
    )


def add_start(folder: Path, start: Start) -> None:
    """Append a line to <folder>/provenance.jsonl; a line that a kill cut short before is ended first."""
    path = folder / STARTS
    before = path.read_bytes() if path.is_file() else b""
    gap = "" if not before or before.endswith(b"\n") else "\n"
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(f"{gap}{json.dumps(asdict(start), ensure_ascii=False)}\n")


def read_starts(folder: Path) -> list[Start]:
    """All starts of exp/<name>, oldest first; none for what was made before this file was written.

    A line that a kill cut short is left out.

    Raises:
        UserError: a whole line is something else.
    """
    path = folder / STARTS
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    starts = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
        except ValueError:
            continue
        try:
            code = Code(**values["code"])
            starts.append(Start(**{field.name: values[field.name] for field in fields(Start)} | {"code": code}))
        except (KeyError, TypeError):
            raise UserError(
                f"{path}:{number}: no start of a run: '{line[:60]}'; was the file edited? Remove the line"
            ) from None
    return starts


def distinct_codes(starts: Sequence[Start]) -> list[Code]:
    """The states of the source that a run passed through, in their order, neighbours that are equal once."""
    codes: list[Code] = []
    for start in starts:
        if not codes or codes[-1] != start.code:
            codes.append(start.code)
    return codes


def current_code(keep_changes_in: Path | None = None) -> Code:
    """The source of this process.

    Args:
        keep_changes_in: a folder that gets code_<hash>.diff, for `git apply`, where the source differs from its commit.
    """
    root = source_root()
    try:
        _git(root, "ls-files", "--error-unmatch", "espnet2/__init__.py")  # of this project, not of a repository around
        commit = _git(root, "rev-parse", "HEAD").strip()
        diff = _changes(root)
    except _GitError as error:
        installed = _installed_commit()
        return Code(espnet2.__version__, installed, problem="" if installed else str(error))
    if not diff:
        return Code(espnet2.__version__, commit)
    changes = hash_bytes(diff)
    if keep_changes_in is not None and len(diff) <= MOST_DIFF_BYTES:
        with atomic_write(keep_changes_in / f"code_{changes}.diff", "wb") as stream:
            stream.write(diff)
    return Code(espnet2.__version__, commit, changes)


def source_root() -> Path:
    """The folder that holds the package: a clone, a copy inside somebody's repository, or site-packages."""
    return Path(espnet2.__file__).resolve().parent.parent


class _GitError(Exception):
    pass


def _git(root: Path, *words: str) -> str:
    # Paths below root, whatever the repository around it; no pager, colour or external diff of the user's.
    command = ["git", "-C", str(root), "-c", "core.quotePath=false", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise _GitError("there is no git program") from None
    except subprocess.TimeoutExpired:
        raise _GitError(f"git took more than {GIT_SECONDS:g} s") from None
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip().splitlines()
        in_none = not message or "not a git repository" in message[0] or "did not match any file" in message[0]
        raise _GitError("the code lies in no git repository" if in_none else message[0].removeprefix("fatal: "))
    return done.stdout.decode("utf-8", "surrogateescape")


def _changes(root: Path) -> bytes:
    """What the source has beyond its commit, as a diff; new files that git does not ignore are in it."""
    options = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--relative")
    diff = _git(root, "diff", *options, "HEAD", "--", *CODE_FOLDERS)
    names = _git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *CODE_FOLDERS).split("\0")
    for name in sorted(filter(None, names)):
        path = root / name
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True)
        diff += "".join(difflib.unified_diff([], lines, "/dev/null", f"b/{name}"))
    return diff.encode("utf-8", "surrogateescape")


def _installed_commit() -> str | None:
    """The commit that a distribution was built of, or that pip installed from, given a repository (PEP 610)."""
    built = Path(espnet2.__file__).with_name(COMMIT)
    if built.is_file():
        return built.read_text(encoding="utf-8").strip()
    try:
        origin = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
        commit = json.loads(origin or "{}").get("vcs_info", {}).get("commit_id")
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    return commit if isinstance(commit, str) else None
