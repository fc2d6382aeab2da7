"""run.pl: a command line in; logs, exit code and messages out; signals reach what was started."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest


def test_log_of_one_task(run, tmp_path) -> None:
    result = run(
        "run.pl", "--mem", "4G", "--num-threads", 3, "--time", "1:0:0", "-V", "a b/x.log", "echo", "hello  you"
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    log = (tmp_path / "a b" / "x.log").read_text()
    date = r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \d{4}"
    assert re.fullmatch(
        rf'# echo "hello  you"\n# Running on \S+\n# Started at {date}\n#\nhello  you\n'
        rf"# Accounting: time=\d threads=3\n# Ended \(code 0\) at {date}, elapsed time \d seconds\n",
        log,
    ), log


QUOTING = [
    # words of the command, what the log holds
    (["echo", "a", "|", "cat", ";", "echo", "$((1+1))"], "a\n2\n"),
    (["echo", "a b", ">", "out", "&&", "cat", "out"], "a b\n"),
    (["echo", 'say "x  y"'], 'say "x  y"\n'),
    (["printf", "%s-", "", "x"], "-x-"),
    (["cat"], ""),
    (["echo", "x", "# no comment"], "x # no comment\n"),
]


@pytest.mark.parametrize(("words", "output"), QUOTING)
def test_quoting(run, tmp_path, words, output) -> None:
    assert run("run.pl", "log", *words).returncode == 0
    body = (tmp_path / "log").read_text().split("\n#\n", 1)[1].split("# Accounting", 1)[0]
    assert body == output


def test_quotes_of_both_kinds(run, tmp_path) -> None:
    assert run("run.pl", "log", "echo", 'don\'t "do" it').returncode == 0
    assert '\ndon\'t "do" it\n' in (tmp_path / "log").read_text()


def test_array_job(run, tmp_path) -> None:
    result = run("run.pl", "JOB=2:4", "--max-jobs-run", 2, "l/x.JOB.log", "echo", "is-JOB", ">", "out.JOB")
    assert result.returncode == 0
    assert [(tmp_path / f"out.{job}").read_text() for job in (2, 3, 4)] == ["is-2\n", "is-3\n", "is-4\n"]
    assert sorted(path.name for path in (tmp_path / "l").iterdir()) == ["x.2.log", "x.3.log", "x.4.log"]
    assert run("run.pl", "NODE=7", "x.NODE.log", "true").returncode == 0 and (tmp_path / "x.7.log").exists()


def test_all_tasks_run_at_most_so_many_at_a_time(run, tmp_path) -> None:
    (tmp_path / "now").mkdir()
    command = "touch now/JOB; ls now | wc -l > seen.JOB; sleep 0.2; rm now/JOB"
    assert run("run.pl", "-tc", 5, "--max-jobs-run", 2, "JOB=1:6", "log.JOB", *command.split()).returncode == 0
    seen = [int((tmp_path / f"seen.{job}").read_text()) for job in range(1, 7)]
    assert max(seen) == 2


def test_one_failure_fails_the_whole_and_shows_the_log(run, tmp_path) -> None:
    command = "for i in $(seq 30); do echo line-$i; done; exit $((JOB/2))"
    result = run("run.pl", "JOB=1:3", "l.JOB.log", *command.split())
    assert result.returncode == 1
    assert "run.pl: 2 / 3 failed, log is in l.*.log\nrun.pl: first failure: task 2, l.2.log\n" in result.stderr
    assert "line-30\n" in result.stderr and "line-9\n" not in result.stderr
    assert "(code 1)" in (tmp_path / "l.3.log").read_text() and "(code 0)" in (tmp_path / "l.1.log").read_text()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sh", "-c", "kill -TERM $$", "|", "cat"], 143),  # b sees the end of a and is content
        (["true", ";", "sh", "-c", "kill -TERM $$", "|", "cat"], 143),
        (["yes", "|", "head", "-n", 1], 0),  # nor is a reader that has enough a failure of the writer
        (["sh", "-c", "exit 3", "|", "cat"], 0),
    ],
)
def test_a_pipeline_whose_first_program_was_ended_has_failed(run, tmp_path, words, code) -> None:
    result = run("run.pl", "x.log", *words)
    assert result.returncode == min(code, 1) and f"# Ended (code {code}" in (tmp_path / "x.log").read_text()


def test_failure_of_a_single_task(run, tmp_path) -> None:
    result = run("run.pl", "x.log", "no-such-program-here")
    assert result.returncode == 1 and "run.pl: job failed, log is in x.log\n" in result.stderr
    assert "not found" in result.stderr and "(code 127)" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "usage"), (["x.log"], "usage"), (["--mem", "1G"], "usage"), (["JOB=1:3", "x.log", "true"], "one log"),
    (["JOB=0:3", "x.JOB", "true"], "range"), (["JOB=3:1", "x.JOB", "true"], "range"),
    (["--max-jobs-run", "0", "x.log", "true"], "above 0"), (["/dev/null/x.log", "true"], "cannot write"),
    (["--num-threads", "two", "x.log", "true"], "takes a number"),
])  # fmt: skip
def test_mistakes(run, arguments, message) -> None:
    result = run("run.pl", *arguments)
    assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr


def test_a_long_command_runs(run, tmp_path) -> None:
    words = ["word" * 1000] * 50  # 200 kB: more than one argument of a program may have
    assert run("run.pl", "x.log", "echo", *words, "|", "wc", "-c").returncode == 0
    assert "\n200050\n" in (tmp_path / "x.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_was_started(utils: Path, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "work.sh").write_text(
        "trap 'sleep 0.3; echo saved > saved; exit 9' TERM\ntouch ready.$1\nsleep 60 &\nwait\n"
    )
    process = subprocess.Popen(
        [utils / "run.pl", "--max-jobs-run", "2", "JOB=1:3", "x.JOB.log", "bash", "work.sh", "JOB"], cwd=tmp_path,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.time() + 20
    while not ((tmp_path / "ready.1").exists() and (tmp_path / "ready.2").exists()):
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    began = time.time()
    process.send_signal(number)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 128 + number and f"stopped by signal {int(number)}" in errors
    assert time.time() - began < 20 and (tmp_path / "saved").exists() and not (tmp_path / "ready.3").exists()
    assert "# Ended (code" in (tmp_path / "x.1.log").read_text()


def test_exit_code_99_starts_a_task_again_where_that_is_asked_for(run, tmp_path) -> None:
    command = "echo start-$CLUSTER_RESTARTS; test $CLUSTER_RESTARTS = 2 || exit 99".split()
    result = run("run.pl", "--requeue", "true", "JOB=1:2", "x.JOB.log", *command)
    assert result.returncode == 0 and result.stderr.count("exit code 99: started again") == 4
    log = (tmp_path / "x.2.log").read_text()
    assert re.findall("^start-.", log, re.MULTILINE) == ["start-0", "start-1", "start-2"]
    assert run("run.pl", "--requeue", "false", "y.log", "exit", "99").returncode == 1
    assert "takes true or false" in run("run.pl", "--requeue", "maybe", "y.log", "true").stderr


def test_what_a_task_knows_about_where_it_runs(run, tmp_path) -> None:
    assert run("run.pl", "x.log", "env", "|", "grep", "^CLUSTER_", "|", "sort").returncode == 0
    lines = dict(line.split("=") for line in (tmp_path / "x.log").read_text().splitlines() if line[:8] == "CLUSTER_")
    assert lines.pop("CLUSTER_JOB").isalnum() and lines.pop("CLUSTER_HOSTS")
    assert lines == {"CLUSTER_BACKEND": "local", "CLUSTER_NODE_RANK": "0", "CLUSTER_NUM_NODES": "1",
                     "CLUSTER_REQUEUE": "false", "CLUSTER_RESTARTS": "0"}  # fmt: skip


@pytest.mark.parametrize("name", ["run.pl", "stdout.pl"])
def test_several_nodes_are_refused_and_a_dry_run_runs_nothing(run, tmp_path, name) -> None:
    result = run(name, "--num-nodes", 2, "x.log", "true")
    assert result.returncode == 1 and f"{name} runs on this machine only" in result.stderr
    for flag in ("--dry_run", "--dry-run"):
        result = run(name, flag, "JOB=1:2", "x.JOB.log", "touch", "made.JOB")
        assert result.stdout == "# log: x.1.log\ntouch made.1\n# log: x.2.log\ntouch made.2\n"
    assert not list(tmp_path.iterdir())
    assert run(name, "--dry_run", "false", "x.log", "true").returncode == 0 and (tmp_path / "x.log").exists()


def test_stdout_pl_shows_the_output_and_logs_it(run, tmp_path) -> None:
    result = run("stdout.pl", "JOB=1:2", "l/x.JOB.log", "echo", "out-JOB", ";", "echo", "err-JOB", ">&2", ";", "exit",
                 "$((JOB-1))")  # fmt: skip
    assert result.returncode == 1 and result.stdout == "out-1\nerr-1\nout-2\nerr-2\n"
    assert "1 / 2 failed" in result.stderr
    log = (tmp_path / "l" / "x.2.log").read_text()
    assert "\n#\nout-2\nerr-2\n# Accounting: " in log and "# Ended (code 1)" in log
