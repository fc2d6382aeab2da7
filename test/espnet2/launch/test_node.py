"""Options of one node in; what torchrun of this and of an older torch makes of them out."""

import argparse
import sys

import pytest
from torch.distributed import run as torchrun

from espnet2.launch.hosts import NodePosition
from espnet2.launch.node import SAVE_SECONDS, NodeOptions, run_torchrun, torchrun_options

OPTIONS = NodeOptions(num_nodes=1, num_processes=1, max_restarts=0, master_port=None, wait_seconds=60)
POSITION = NodePosition(hosts=("localhost",), node_rank=0, port=29400)
newer_parser = torchrun.get_args_parser


def older_parser() -> argparse.ArgumentParser:
    """torchrun's options in torch 2.11: all but the one that 2.12 brought."""
    parser = newer_parser()
    action = next(action for action in parser._actions if "--shutdown_timeout" in action.option_strings)
    for name in action.option_strings:
        del parser._option_string_actions[name]
    for group in parser._action_groups:
        if action in group._group_actions:
            group._group_actions.remove(action)
    parser._actions.remove(action)
    return parser


@pytest.mark.parametrize("position", [None, POSITION])
def test_the_time_to_save_is_given_where_torchrun_takes_it(position: NodePosition | None) -> None:
    words = torchrun_options(OPTIONS, position, 0)
    assert words[words.index("--shutdown_timeout") + 1] == str(SAVE_SECONDS)
    assert torchrun.parse_args([*words, "program"]).shutdown_timeout == SAVE_SECONDS


@pytest.mark.parametrize("position", [None, POSITION])
def test_an_older_torchrun_gets_no_option_that_it_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], position: NodePosition | None
) -> None:
    monkeypatch.setattr(torchrun, "get_args_parser", older_parser)
    with pytest.raises(SystemExit):
        torchrun.parse_args(["--shutdown_timeout", "120", "program"])  # what the imitation must refuse
    words = torchrun_options(OPTIONS, position, 0)
    assert torchrun.parse_args([*words, "program"]).signals_to_handle == "SIGINT,SIGHUP,SIGQUIT"
    assert "30 s" in capsys.readouterr().err


def test_an_older_torchrun_runs_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchrun, "get_args_parser", older_parser)
    monkeypatch.setattr(torchrun, "run", _run_without_shutdown_timeout(torchrun.run))
    program = ["--no_python", sys.executable, "-c", "import sys; sys.exit(7)"]
    assert run_torchrun([*torchrun_options(OPTIONS, None, 0), *program]) == 7


def _run_without_shutdown_timeout(run):
    """This torch's run reads the option that the older parser has not set."""

    def wrapped(arguments: argparse.Namespace) -> None:
        assert not hasattr(arguments, "shutdown_timeout")
        arguments.shutdown_timeout = None
        run(arguments)

    return wrapped
