"""Command lines of launch in, what runs where out, and what is refused."""

import pytest

from espnet2.launch.command import WAIT_SECONDS, parse_command
from espnet2.launch.node import NodeOptions
from espnet2.utils.errors import UserError

TRAIN = ["-m", "espnet2.bin.ssl_train", "--config", "a.yaml", "--host", "of the module", "-m", "another"]


def test_what_runs_here():
    words = ["--nnodes", "4", "--nproc_per_node=8", "--max_restarts", "2", "--master_port", "5000"]
    launch = parse_command([*words, "--wait_seconds", "0.5", *TRAIN])
    assert launch.node == NodeOptions(4, 8, 2, 5000, 0.5)
    assert launch.command == TRAIN and launch.hosts == () and not launch.follows_stdin


def test_defaults_are_one_process():
    assert parse_command(TRAIN).node == NodeOptions(1, 1, 0, None, WAIT_SECONDS)
    assert parse_command(["--standalone", "--follow_stdin", *TRAIN]).follows_stdin


def test_hosts_get_all_other_options():
    launch = parse_command(["--max_restarts", "1", "--host", "h1:4,me@h2", "--wait_seconds=9", *TRAIN])
    assert launch.hosts == (("h1", 4), ("me@h2", 1))
    assert launch.shared_options == ["--max_restarts", "1", "--wait_seconds=9"] and launch.command == TRAIN


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "what to run"),
        (["-m"], "what to run"),
        (["--nnodes", "2", "--standalone", *TRAIN], "--standalone is one node, --nnodes 2 are several"),
        (["--host", "h1:0", *TRAIN], "'h1:0' is not <host> or <host>:<processes>"),
    ],
)
def test_what_cannot_be_meant_is_refused(words, error):
    with pytest.raises(UserError, match=error):
        parse_command(words)


@pytest.mark.parametrize("words", [["--nnodes", "0"], ["--wait_seconds", "-1"], ["--nnode", "2"], ["train.py"]])
def test_options_that_are_none_end_the_program(words, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_command([*words, *TRAIN])
    assert stop.value.code == 2 and "launch: error: " in capsys.readouterr().err
