"""Commands in through real schedulers and ssh, logs, exit codes and messages out: arrays, several nodes, requeues."""

import re

import pytest
from clusters import Cluster, finish, wait_until

pytestmark = pytest.mark.cluster
HOSTS = "127.0.0.1:4,127.0.0.2:4"


def options(cluster: Cluster) -> list[str]:
    """What this back end needs besides Kaldi's command line."""
    return ["--host", HOSTS] if cluster.name == "sshd" else []


def test_log_of_one_task(cluster, tmp_path):
    result = cluster.run(tmp_path, *options(cluster), "--num-threads", 2, "--mem", "50M", "logs/a b/x.log", "echo",
                         "hello  you", ";", "pwd")  # fmt: skip
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    lines = (tmp_path / "logs/a b/x.log").read_text().splitlines()
    assert lines[0] == '# echo "hello  you" ; pwd' and lines[1].startswith("# Running on ")
    assert lines[4:6] == ["hello  you", str(tmp_path)]
    assert lines[6].endswith(" threads=2") and lines[7].startswith("# Ended (code 0) at ")
    assert [path.name for path in (tmp_path / "logs/a b").iterdir()] == ["x.log"]  # nothing else is left


def test_one_of_a_hundred_tasks_fails(cluster, tmp_path):
    tasks = 20 if cluster.name == "sshd" else 100  # a connection costs more than a task of a scheduler
    result = cluster.run(tmp_path, *options(cluster), f"JOB=1:{tasks}", "l.JOB.log", "echo", "task-JOB", ";", "test",
                         "JOB", "-ne", "17", seconds=200)  # fmt: skip
    assert result.returncode == 1
    name = cluster.program.rsplit("/", 1)[1]
    assert f"{name}: 1 / {tasks} failed, log is in l.*.log\n" in result.stderr
    assert re.search(r"first failure: task 17 \((host \S+, )?exit code 1\), l.17.log\n", result.stderr)
    assert "    task-17\n" in result.stderr
    assert all(f"\ntask-{task}\n" in (tmp_path / f"l.{task}.log").read_text() for task in range(1, tasks + 1))


def test_environment_and_limit(cluster, tmp_path):
    """The submitter's variables arrive whatever they hold; so many tasks run at a time, not more."""
    (tmp_path / "now").mkdir()
    cluster.environment["ODD"] = "two\nlines; $HOME 'x' \"y\""
    command = 'touch now/JOB; ls now | wc -l > seen.JOB; printf %s "$ODD" > odd.JOB; sleep 0.3; rm now/JOB'
    result = cluster.run(tmp_path, *options(cluster), "--max-jobs-run", 2, "JOB=3:8", "l.JOB.log", *command.split(" "))
    odd = cluster.environment.pop("ODD")
    assert result.returncode == 0, result.stderr
    assert {(tmp_path / f"odd.{task}").read_text() for task in range(3, 9)} == {odd}
    assert max(int((tmp_path / f"seen.{task}").read_text()) for task in range(3, 9)) <= 2


def test_the_folder_of_a_log_may_have_the_number(cluster, tmp_path):
    result = cluster.run(tmp_path, *options(cluster), "JOB=1:2", "exp/JOB/x.log", "echo", "JOB")
    assert result.returncode == 0, result.stderr
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.log")) == ["exp/1/x.log", "exp/2/x.log"]


def test_dry_run_shows_what_would_be_submitted(cluster, tmp_path):
    result = cluster.run(tmp_path, *options(cluster), "--dry_run", "JOB=1:9", "l.JOB.log", "echo", "a b", "JOB")
    assert result.returncode == 0 and not list(tmp_path.iterdir())
    submit = {"slurm": "sbatch ", "grid_engine": "qsub ", "sshd": "ssh -tt "}[cluster.name]
    lines = result.stdout.splitlines()
    assert lines[0] == "# submit" and lines[1].startswith(submit) and "#!/usr/bin/env bash" in lines
    assert any('tasks JOB=1:9: echo "a b" JOB' in line for line in lines)


def test_log_folder_that_cannot_be_written(cluster, tmp_path):
    (tmp_path / "file").write_text("")
    result = cluster.run(tmp_path, *options(cluster), "file/logs/x.log", "true")
    assert result.returncode == 1 and "cannot write the log folder" in result.stderr
    assert "Not a directory" in result.stderr and "Traceback" not in result.stderr


def test_exit_code_99_starts_again(cluster, tmp_path):
    """With --requeue the program waits through two restarts; the log keeps all three."""
    words = ["echo", "start-$CLUSTER_RESTARTS", ";", "test", "$CLUSTER_RESTARTS", "-ge", "2", "||", "exit", "99"]
    result = cluster.run(tmp_path, *options(cluster), "--requeue", "true", "x.log", *words, seconds=100)
    assert result.returncode == 0, result.stderr
    log = (tmp_path / "x.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("start-")] == ["start-0", "start-1", "start-2"]
    assert log.count("# Ended (code 99)") == 2 and log.count("# Ended (code 0)") == 1


def test_exit_code_99_fails_without_requeue(cluster, tmp_path):
    result = cluster.run(tmp_path, *options(cluster), "x.log", "echo", "once", ";", "exit", "99")
    assert result.returncode == 1 and "exit code 99" in result.stderr
    assert (tmp_path / "x.log").read_text().count("\nonce\n") == 1


def test_jobs_over_two_nodes(slurm_netns, sshd, tmp_path):
    """One job, the command once on each node, ranks in the order of the list of hosts, one log and one exit code."""
    show = "echo rank=$CLUSTER_NODE_RANK of=$CLUSTER_NUM_NODES hosts=$CLUSTER_HOSTS restarts=$CLUSTER_RESTARTS;"
    for cluster, names in ((slurm_netns, ["node1", "node2"]), (sshd, ["127.0.0.1", "127.0.0.2"])):
        arguments = [*options(cluster), "--num-nodes", 2, "--requeue", "true", f"{cluster.name}.log"]
        command = f"{show} hostname; test $CLUSTER_RESTARTS = 1 || exit $((99*CLUSTER_NODE_RANK))"
        result = cluster.run(tmp_path, *arguments, *command.split(" "))
        lines = (tmp_path / f"{cluster.name}.log").read_text().splitlines()
        assert result.returncode == 0, f"{result.stderr}\n{lines}"
        for restarts in (0, 1):
            for rank in (0, 1):
                assert f"rank={rank} of=2 hosts={' '.join(names)} restarts={restarts}" in lines
        if cluster is slurm_netns:
            assert lines.count("node1") == lines.count("node2") == 2  # what `hostname` says
        wrong = cluster.run(tmp_path, *options(cluster), "--num-nodes", 2, "y.log", "exit", "$((CLUSTER_NODE_RANK*5))")
        assert wrong.returncode == 1 and "(code 5)" in (tmp_path / "y.log").read_text()


def test_stdout_of_gpus(slurm, sshd, tmp_path):
    """Each task sees the GPU that it was given."""
    for cluster in (slurm, sshd):
        arguments = [*options(cluster), "--gpu", 1, "JOB=1:4", f"{cluster.name}.JOB.log"]
        assert cluster.run(tmp_path, *arguments, "echo", "gpu=$CUDA_VISIBLE_DEVICES", ";", "sleep", 1).returncode == 0
        seen = [(tmp_path / f"{cluster.name}.{task}.log").read_text().splitlines()[4] for task in range(1, 5)]
        assert set(seen) <= {f"gpu={number}" for number in range(4)} and len(set(seen)) >= 2, seen


def test_time_limit(grid_engine, tmp_path):
    result = grid_engine.run(tmp_path, "--time", "0:0:2", "x.log", "sleep", 61)
    assert result.returncode == 1
    assert "reached a limit" in result.stderr or "was killed" in result.stderr
    wait_until(lambda: "sleep 61" not in grid_engine.call("ps", "ax"), 10)


def test_the_signal_before_the_end_makes_a_job_save_and_come_back(queue, tmp_path):
    """SIGUSR1 reaches the command; its exit code 99 requeues the job, which then ends well."""
    (tmp_path / "train.py").write_text(
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: (print('saved', flush=True), sys.exit(99)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(0 if os.environ['CLUSTER_RESTARTS'] == '1' else 60)\n"
    )
    process = queue.start(tmp_path, "--requeue", "true", "x.log", "python3", "train.py")
    log = tmp_path / "x.log"
    wait_until(lambda: log.exists() and "ready" in log.read_text())
    if queue.name == "slurm":
        queue.call("scancel", "--batch", "--signal=USR1", *queue.call("squeue", "-h", "-o", "%A").split())
    else:
        queue.call("qmod", "-sj", *queue.call("qstat").split("\n")[2].split()[:1])  # -notify: SIGUSR1, then a stop
    result = finish(process, 60)
    assert result.returncode == 0, result.stderr
    assert log.read_text().count("saved") == 1 and log.read_text().count("ready") == 2
