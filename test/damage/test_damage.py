"""All programs on damaged inputs: each ends with one message, or says what it did, or the damage changed nothing.

Never a traceback, never a standstill, never exit status 0 with another result in silence. The damage is drawn from
seeds, so a failure comes again: its line names program, file, damage and seed.
"""

import importlib
import os
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from damage import OPERATORS, damaged
from damage_programs import MEANT, PROGRAMS, Program, make_workspace
from repository import ROOT

pytestmark = pytest.mark.damage

SEEDS = range(int(os.environ.get("DAMAGE_FIRST_SEED", 0)), int(os.environ.get("DAMAGE_FIRST_SEED", 0)) + 2)
LIMIT_SECONDS = 60.0
LOADED = (
    "torch",
    "torchaudio.compliance.kaldi",
    "torchaudio.functional",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "torch.utils.tensorboard",
    "torch._dynamo",
    "sklearn",
    "jinja2",
)
AT_LEAST = 500
# Words of a program that did something about the damage and says so.
SAID = (
    "left out",
    "passed over",
    "rejected",
    "warning",
    "drops",
    "dropped",
    "not in",
    "without",
    "missing",
    "no phones",
)


@dataclass(frozen=True)
class Outcome:
    """How one run ended."""

    status: int | None  # None: it stood still
    said: str
    digest: str


def run(program: Program, folder: Path, log: Path) -> Outcome:
    """One program in a process forked from this one, which has loaded everything and computed nothing."""
    if program.name in ("ssl_unit_quality", "tokenize_text"):
        (folder / "out").mkdir(exist_ok=True)
    sys.stdout.flush()  # else the child's copy is written, too
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.setpgid(0, 0)
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            os.chdir(folder)
            status = call(program)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    deadline, status = time.monotonic() + LIMIT_SECONDS, None
    while time.monotonic() < deadline:
        ended, raw = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(raw)
            break
        time.sleep(0.01)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return Outcome(status, log.read_text(errors="replace"), program.digest(folder))


def call(program: Program) -> int:
    """main() of the program, as its command line calls it."""
    import torch

    from espnet2.utils.errors import run_main

    torch.set_num_threads(1)
    sys.argv = [program.name, *program.words]
    try:
        run_main(importlib.import_module(f"espnet2.bin.{program.name}").main)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def judge(whole: Outcome, outcome: Outcome, *, is_meant: bool) -> str:
    """ "": right; else what is wrong."""
    if outcome.status is None:
        return f"stood still for {LIMIT_SECONDS:g} s"
    if "Traceback (most recent call last)" in outcome.said or "unforeseen" in outcome.said:
        return f"a traceback: {outcome.said.strip().splitlines()[-1][:300]}"
    if outcome.status < 0 or outcome.status == 70:
        return f"ended with status {outcome.status}: {outcome.said[-300:]}"
    if outcome.status == 0 and outcome.digest != whole.digest and not is_meant:
        new = [line for line in outcome.said.splitlines() if line not in whole.said]
        if not any(word in line for word in SAID for line in new):
            return f"exit status 0 with another result, in silence; it said: {' | '.join(new)[:300]}"
    return ""


@pytest.fixture(scope="module", autouse=True)
def everything_is_loaded() -> None:
    """Importing PyTorch takes seconds, forking afterwards milliseconds. Nothing is computed: OpenMP does not fork."""
    for name in LOADED:
        importlib.import_module(name)
    for path in (ROOT / "espnet2").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not module.startswith(("espnet2.bin.launch", "espnet2.moved")):
            importlib.import_module(module)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """Whole inputs, made in a process of their own: this one must not have computed anything before it forks."""
    folder = tmp_path_factory.mktemp("damage") / "whole"
    folder.mkdir()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            make_workspace(folder)
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    return folder


def copy(workspace: Path, target: Path) -> Path:
    """Hard links: a damaged file is written anew, and so is whatever a program makes."""
    shutil.copytree(workspace, target, symlinks=True, copy_function=os.link)
    return target


def cases(program: Program, workspace: Path) -> list[tuple[str, str, int, bytes]]:
    """(file, damage, seed, contents) of all damages that apply and differ."""
    cases, seen = [], set()
    for name in program.inputs:
        for operator in OPERATORS:
            for seed in SEEDS:
                contents = damaged(workspace / name, operator, seed)
                if contents is not None and (name, contents) not in seen:
                    seen.add((name, contents))
                    cases.append((name, operator, seed, contents))
    return cases


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS, ids=[f"{p.name}{'-' * bool(p.title)}{p.title}" for p in PROGRAMS])
def test_damage_is_never_silent(program: Program, workspace: Path, tmp_path: Path, record_property) -> None:
    whole = run(program, copy(workspace, tmp_path / "whole"), tmp_path / "whole.log")
    assert whole.status == 0, whole.said[-2000:]
    wrong, counts = [], Counter()
    for number, (name, operator, seed, contents) in enumerate(cases(program, workspace)):
        folder = copy(workspace, tmp_path / "damaged")
        (folder / name).unlink()
        (folder / name).write_bytes(contents)
        outcome = run(program, folder, tmp_path / f"{number}.log")
        fault = judge(whole, outcome, is_meant=f"{Path(name).name}: {operator}" in MEANT)
        counts["wrong" if fault else "refused" if outcome.status else "harmless or said"] += 1
        if fault:
            wrong.append(f"{name}: {operator}, seed {seed}: {fault}")
        shutil.rmtree(folder)
    print(f"{program.name} {program.title}: {sum(counts.values())} damaged inputs: {dict(counts)}")
    assert not wrong, f"{len(wrong)} of {sum(counts.values())}:\n" + "\n".join(wrong)


def test_there_are_enough(workspace: Path) -> None:
    count = sum(len(cases(program, workspace)) for program in PROGRAMS)
    print(f"{count} damaged inputs")
    assert count >= AT_LEAST
