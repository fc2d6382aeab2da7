"""parse_options.sh and log.sh: a script and its command line in, the variables and messages out."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = """#!/usr/bin/env bash
# What goes in -> what comes out.
# Usage: $0 [options] <file>

set -euo pipefail

max_seconds=20     # longest utterance
train_set=         # name of the set
skip_train=false   # true: no training
cmd="run.pl --mem 4G"

. "{utils}/parse_options.sh"

printf '%s|' "${{max_seconds}}" "${{train_set}}" "${{skip_train}}" "${{cmd}}" "$#" "$@"
"""


@pytest.fixture
def call(utils: Path, tmp_path: Path):
    script = tmp_path / "a script.sh"
    script.write_text(SCRIPT.format(utils=utils))

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", str(script), *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    return run


GOOD = [
    ([], "20||false|run.pl --mem 4G|0|"),
    (["--max-seconds", "5", "--train_set", "a b", "x", "--y"], "5|a b|false|run.pl --mem 4G|2|x|--y|"),
    (["--train-set", ""], "20||false|run.pl --mem 4G|0|"),
    (["--skip_train", "true", "--", "--max-seconds"], "20||true|run.pl --mem 4G|1|--max-seconds|"),
    (
        ["--train_set", '$(touch bad); `touch bad` "x" \''],
        '20|$(touch bad); `touch bad` "x" \'|false|run.pl --mem 4G|0|',
    ),
    (["--cmd", "--mem 4G"], "20||false|--mem 4G|0|"),
    (["--train_set", "*"], "20|*|false|run.pl --mem 4G|0|"),
]


@pytest.mark.parametrize(("arguments", "output"), GOOD)
def test_options(call, tmp_path, arguments, output) -> None:
    result = call(*arguments)
    assert (result.returncode, result.stdout) == (0, output), result.stderr
    assert not (tmp_path / "bad").exists()


BAD = [
    (["--max-secnds", "5"], "unknown option --max-secnds; did you mean --max_seconds?"),
    (["--quite-different", "5"], "unknown option --quite-different"),
    (["--max-seconds"], "option --max-seconds needs a value"),
    (["--max-seconds", "--skip_train", "true"], "option --max-seconds needs a value, found the option '--skip_train'"),
    (["--skip_train", "yes"], "option --skip_train takes true or false, not 'yes'"),
    (["--max-seconds=5"], "options are written '--name value'"),
    (["--config", "nowhere.conf"], "cannot read the file 'nowhere.conf'"),
    (["--config"], "cannot read the file ''"),
    (["--cmd", ""], "option --cmd is empty"),
    (["--a[$(touch${IFS}bad)]", "1"], "unknown option"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_mistakes(call, tmp_path, arguments, message) -> None:
    result = call(*arguments)
    assert result.returncode == 1 and result.stdout == ""
    assert message in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "bad").exists()


def test_the_command_line_wins_over_the_config(call, tmp_path) -> None:
    (tmp_path / "a.conf").write_text("max_seconds=7\ntrain_set='from file'\n")
    assert call("--max_seconds", "8", "--config", "a.conf").stdout.startswith("8|from file|")


def test_help_shows_header_and_defaults(call) -> None:
    result = call("--max_seconds", "8", "--help")
    assert result.returncode == 0
    assert result.stdout.startswith("What goes in -> what comes out.\nUsage: ")
    assert "a script.sh [options] <file>" in result.stdout
    assert any(line.split() == "--max_seconds 20 longest utterance".split() for line in result.stdout.splitlines())
    assert '--train_set ""' in result.stdout and '--cmd "run.pl --mem 4G"' in result.stdout


def test_help_message_of_the_script_comes_first(utils, tmp_path) -> None:
    script = f'help_message="Usage: 100% mine"; nj=4; . "{utils}/parse_options.sh"; echo not reached'
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", script, "x", "-h"], capture_output=True, text=True,
                            cwd=tmp_path, check=False)  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "Usage: 100% mine\n")


def test_stages_and_death(utils, tmp_path) -> None:
    script = f"""set -euo pipefail; . "{utils}/log.sh"; stage=2; stop_stage=3
        for number in 1 2 3 4; do if in_stage $number "in -> out"; then echo ran $number; fi; done; die no more"""
    result = subprocess.run(["bash", "-c", script, "me"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (result.returncode, result.stdout) == (1, "ran 2\nran 3\n")
    assert "me: stage 2: in -> out" in result.stderr and result.stderr.endswith("me: error: no more\n")
