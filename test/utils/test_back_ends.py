"""Kaldi's configuration lines and recorded output of schedulers in; submit lines, states and reasons out."""

import importlib
import itertools
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "utils"))
config, slurm, sge, pbs, lsf, ssh, watch = (
    importlib.import_module(f"cluster.{name}") for name in "config slurm sge pbs lsf ssh watch".split()
)

KALDI = """
command qsub -v PATH -l arch=*64*   # how it begins
option mem=* -l mem_free=$0,ram_free=$0
option mem=0          # nothing
option num_threads=* -pe smp $0
option num_threads=1
default gpu=0
option gpu=0
option gpu=* -l gpu=$0 -q "g.q other"
option partition=* -p $0
"""
LINES = [
    # options of the command line, the submit line
    ({}, "qsub -v PATH -l arch=*64*"),
    ({"mem": "4G"}, "qsub -v PATH -l arch=*64* -l mem_free=4G,ram_free=4G"),
    ({"mem": "0", "num-threads": "1"}, "qsub -v PATH -l arch=*64*"),
    ({"num-threads": "4"}, "qsub -v PATH -l arch=*64* -pe smp 4"),
    ({"partition": "a", "gpu": "2"}, "qsub -v PATH -l arch=*64* -l gpu=2 -q g.q other -p a"),  # own options come last
    ({"config": "x", "max-jobs-run": "3", "dry-run": "true"}, "qsub -v PATH -l arch=*64*"),
]


@pytest.mark.parametrize(("options", "line"), LINES)
def test_configuration_of_kaldi(options, line) -> None:
    assert " ".join(config.parse(KALDI, "queue.conf").words(options)) == line


@pytest.mark.parametrize(("text", "message"), [
    ("option mem\n", "site.conf:1: expected 'command"), ("\nqsub -x\n", "site.conf:2: expected"),
    ("command\n", "site.conf:1"), ("option x=* '-q $0\n", "site.conf:1: No closing quotation"),
    ("default gpu=0 -x\n", "site.conf:1"),
])  # fmt: skip
def test_mistakes_in_a_configuration(text, message, capsys) -> None:
    with pytest.raises(SystemExit):
        config.parse(text, "site.conf")
    assert message in capsys.readouterr().err


def test_an_option_that_nothing_describes(run, tmp_path) -> None:
    (tmp_path / "site.conf").write_text("option colour=red --red\n")
    result = run("slurm.pl", "--config", "site.conf", "--color", "red", "x.log", "true")
    assert result.returncode == 1 and "option --color is not described in site.conf" in result.stderr
    assert "--colour" in result.stderr and "option color=* <option of the scheduler> $0" in result.stderr
    wrong = run("slurm.pl", "--config", "site.conf", "--colour", "blue", "x.log", "true").stderr
    assert "has no line 'option colour=*' or 'option colour=blue'" in wrong
    assert "cannot read the configuration none.conf" in run("slurm.pl", "--config", "none.conf", "x.log", "true").stderr


def test_what_a_site_does_not_describe_stays_as_built_in(run, tmp_path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").write_text("command sbatch --export=PATH\noption gpu=* -p gpu --gres=gpu:tesla:$0\n")
    line = run("slurm.pl", "--dry_run", "--gpu", 2, "--mem", "4G", "-C", "big", "x.log", "true").stdout.splitlines()[1]
    assert line.startswith(
        "sbatch --export=PATH -p gpu --gres=gpu:tesla:2 --mem-per-cpu 4G -C big --parsable --job-name=x "
    )


def test_a_recipe_without_a_configuration_uses_that_of_its_template(run, tmp_path) -> None:
    (tmp_path / "template/conf").mkdir(parents=True)
    (tmp_path / "template/path.sh").touch()
    (tmp_path / "template/conf/slurm.conf").write_text("option mem=* --memory-of-all $0\n")
    words = ["--dry_run", "--mem", "4G", "x.log", "true"]
    assert "--mem-per-cpu 4G" in run("slurm.pl", *words).stdout
    (tmp_path / "path.sh").symlink_to("template/path.sh")
    assert "--memory-of-all 4G" in run("slurm.pl", *words).stdout
    assert "--memory-of-all 4G" in run("slurm.pl", "--config", "conf/slurm.conf", *words).stdout
    wrong = run("slurm.pl", "--dry_run", "--colour", "red", "x.log", "true").stderr
    assert "option --colour is not described in template/conf/slurm.conf" in wrong
    gone = run("slurm.pl", "--config", "conf/gone.conf", *words).stderr
    assert "cannot read the configuration conf/gone.conf" in gone
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/slurm.conf").write_text("option mem=* --memory-here $0\n")
    assert "--memory-here 4G" in run("slurm.pl", *words).stdout


@pytest.mark.parametrize("backend", [slurm.Slurm, sge.GridEngine, pbs.Pbs, lsf.Lsf, ssh.Ssh])
def test_the_template_changes_nothing_until_it_is_edited(backend, tmp_path) -> None:
    """It holds for every recipe: what it shows is an example in comments, and well-formed once they are lines."""
    text = (ROOT / "egs2/TEMPLATE/ssl1" / backend.usual_config).read_text()
    shown = config.parse(text, "")
    assert not (shown.command or shown.options or shown.defaults)
    example = config.parse("\n".join(line.removeprefix("#") for line in text.splitlines() if line[:2] != "# "), "")
    assert example.command


SUBMIT = [
    # program, options, what the submit line holds
    ("slurm.pl", "--num-threads 4 --time 1:0:0", ["--cpus-per-task 4 --time 1:0:0", "--array=1-9%3"]),
    ("slurm.pl", "--requeue true", ["--requeue --signal=B:USR1@90"]),
    ("queue.pl", "--num-threads 4 --time 1:0:0", ["-pe smp 4 -l h_rt=1:0:0", "-t 1-9 -tc 3"]),
    ("queue.pl", "--requeue true", ["-r y -notify"]),
    ("pbs.pl", "--num-threads 4 --gpu 1", ["-l ncpus=4 -l ngpus=1", "-J 1-9%3"]),
    ("bsub.pl", "--num-threads 4 --gpu 1", ["-n 4 -R 'span[hosts=1]' -gpu num=1", "-J 'x[1-9]%3'"]),
    ("bsub.pl", "--requeue true", ["-r -Q 99 -wa USR1 -wt 2"]),
]
NODES = [
    ("slurm.pl", "--nodes 2 --ntasks-per-node 1"), ("queue.pl", "-pe nodes 2"),
    ("pbs.pl", "-l select=2:ncpus=4:ngpus=1 -l place=scatter"), ("bsub.pl", "-n 2 -R 'span[ptile=1]'"),
]  # fmt: skip


@pytest.mark.parametrize(("program", "options", "parts"), SUBMIT)
def test_submit_lines_of_arrays(run, program, options, parts) -> None:
    words = [*options.split(), "--dry_run", "--max-jobs-run", 3, "JOB=1:9", "log/x.JOB.log", "true"]
    line = run(program, *words).stdout.splitlines()[1]
    assert all(part in line for part in parts), line


@pytest.mark.parametrize(("program", "part"), NODES)
def test_submit_lines_of_several_nodes(run, program, part) -> None:
    words = ["--dry_run", "--num-nodes", 2, "--gpu", 1, "--num-threads", 4, "x.log", "true"]
    line = run(program, *words).stdout.splitlines()[1]
    assert part in line and line.count("-pe ") <= 1, line


def test_a_job_of_two_nodes_starts_the_command_on_both(run, tmp_path) -> None:
    """With a stand-in for ssh that runs the command here."""
    (tmp_path / "here").write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    (tmp_path / "here").chmod(0o755)
    (tmp_path / "site.conf").write_text(f"command {tmp_path}/here\n")
    words = ["--config", "site.conf", "--host", "a,b", "--num-nodes", 2]
    command = ["echo", "node", "$CLUSTER_NODE_RANK", "of", "$CLUSTER_HOSTS"]
    result = run("ssh.pl", *words, "x.log", *command)
    log = (tmp_path / "x.log").read_text()
    assert result.returncode == 0 and "node 0 of a b\n" in log and "node 1 of a b\n" in log, result.stderr + log


def test_an_array_above_the_limit_is_split(run, tmp_path, monkeypatch) -> None:
    """The tasks keep their numbers; the scheduler counts from 1 in each array."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scontrol").write_text("#!/bin/sh\necho MaxArraySize = 1001\n")
    (tmp_path / "bin/scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    lines = run("slurm.pl", "--dry_run", "JOB=1:2500", "x.JOB.log", "true").stdout.splitlines()
    arrays = [line.partition("--array=")[2].split()[0] for line in lines if line.startswith("sbatch")]
    tasks = [line.rsplit(" ", 1)[1] for line in lines if line.startswith("exec")]
    assert arrays == ["1-1000", "1-1000", "1-500"]
    assert tasks[0] == '"${SLURM_ARRAY_TASK_ID}"' and tasks[1:] == ['1000))"', '2000))"']


def test_states_of_slurm(monkeypatch) -> None:
    """Recorded from squeue 22.05 with SLURM_BITSTR_LEN=0."""
    output = (
        "7|3-6%2|PENDING|JobArrayTaskLimit|\n7|1|RUNNING|None|node1\n8|N/A|PENDING|launch failed requeued held|\n"
        "9|N/A|COMPLETING|None|node1\n10|N/A|RUNNING|None|node2\n"
    )
    monkeypatch.setattr(slurm, "call", lambda *_, **__: (0, output, ""))
    entries = slurm.Slurm().ask(["7", "8", "9"])
    assert [(entry.job_id, entry.indices, entry.state) for entry in entries] == [
        ("7", [3, 4, 5, 6], "pending"), ("7", [1], "running"), ("8", [0], "error"), ("9", [0], "running"),
    ]  # fmt: skip


@pytest.mark.parametrize(("state", "reason", "text", "cut_off"), [
    ("COMPLETED", "None", "", False), ("FAILED", "NonZeroExitCode", "", False),
    ("OUT_OF_MEMORY", "OutOfMemory", "out of memory: ask for more with --mem (OUT_OF_MEMORY) on node1", True),
    ("TIMEOUT", "TimeLimit", "reached its time limit: ask for more with --time (TIMEOUT)", True),
    ("PREEMPTED", "None", "preempted (PREEMPTED)", True), ("CANCELLED", "None", "cancelled (CANCELLED)", True),
    ("FAILED", "RaisedSignal:9(Killed)", "its script was killed (FAILED, RaisedSignal:9(Killed))", True),
])  # fmt: skip
def test_ends_of_slurm(state, reason, text, cut_off) -> None:
    final = slurm.final(state, reason, "node1")
    assert (final.reason, final.cut_off) == (text, cut_off)


def test_accounting_speaks_where_the_controller_has_forgotten(monkeypatch) -> None:
    def call(words, *_, **__):
        if words[0] == "squeue":
            return 1, "", "slurm_load_jobs error: Invalid job id specified"
        return 0, "7_1|COMPLETED|node1\n7_2|CANCELLED by 1000|node1\n7_[3-4]|CANCELLED by 1000|None assigned\n", ""

    monkeypatch.setattr(slurm, "call", call)
    finals = slurm.Slurm().explain(["7"], [("7", 2)])
    assert finals["7", 4].reason == finals["7", 2].reason == "cancelled (CANCELLED)" and not finals["7", 1].reason


def test_states_of_grid_engine(monkeypatch) -> None:
    """Recorded from qstat -xml of 8.1.9, shortened."""
    block = (
        '<job_list state="{}">\n<JB_job_number>{}</JB_job_number>\n<JB_name>a</JB_name>\n'
        "<state>{}</state>\n{}</job_list>"
    )
    output = "<?xml version='1.0'?>\n<job_info>" + "\n".join([
        block.format("running", 1, "r", "<tasks>2</tasks>\n"),
        block.format("pending", 1, "qw", "<tasks>3-6:1</tasks>\n"),
        block.format("pending", 2, "Eqw", ""), block.format("running", 3, "r", ""),
    ]) + "</job_info>"  # fmt: skip
    said = "error reason          1:      11/22/2026 15:50:00 [0:1]: error: can't chdir to /nowhere\n"
    monkeypatch.setattr(sge, "call", lambda words, *_: (0, said if "-j" in words else output, ""))
    entries = sge.GridEngine().ask(["1", "2"])
    states = [(entry.job_id, entry.indices, entry.state) for entry in entries]
    assert states == [("1", [2], "running"), ("1", [3, 4, 5, 6], "pending"), ("2", [0], "error")]
    assert "can't chdir to /nowhere" in entries[2].detail


def test_ends_of_other_schedulers() -> None:
    killed = sge.final({"failed": "100 : assumedly after job", "exit_status": "137          (Killed)"})
    assert killed.cut_off and "exit status 137 (Killed)" in killed.reason
    assert sge.final({"failed": "37  : qmaster enforced h_rt limit", "exit_status": "137"}).reason[:15] == (
        "reached a limit"
    )
    assert not sge.final({"failed": "0", "exit_status": "1"}).reason
    assert pbs.final({"exit_status": "-29"}).reason.startswith("reached its time limit: ask for more with --time")
    assert pbs.final({"exit_status": "271"}).reason.startswith("ended by signal 15")
    assert pbs.final({"job_state": "F", "comment": "Job deleted"}).cut_off
    assert not pbs.final({"exit_status": "1"}).reason
    memory = lsf.final("EXIT", "137", "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit")
    assert memory.cut_off and memory.reason.startswith("out of memory: ask for more with --mem")
    assert lsf.final("EXIT", "130", "-").reason.startswith("ended by signal 2")
    assert not lsf.final("EXIT", "1", "-").cut_off


def test_hosts_in_the_scheduler_s_order(tmp_path, monkeypatch) -> None:
    job = {"nodes": 2, "hosts": "h2:4,h1:4", "gpus": 0, "remote": ["ssh", "-tt"]}
    (tmp_path / "pe").write_text("n2 1 all.q@n2 UNDEFINED\nn1 1 all.q@n1 UNDEFINED\n")
    (tmp_path / "pbs").write_text("n2\nn2\nn1\nn1\n")
    monkeypatch.setenv("PE_HOSTFILE", str(tmp_path / "pe"))
    monkeypatch.setenv("PBS_NODEFILE", str(tmp_path / "pbs"))
    monkeypatch.setenv("LSB_MCPU_HOSTS", "n2 1 n1 1")
    for backend in (sge.GridEngine(), pbs.Pbs(), lsf.Lsf()):
        assert backend.hosts(job) == ["n2", "n1"]
    assert ssh.Ssh().hosts(job) == ["h2", "h1"]
    starts = {name: backend.node_commands(["n2", "n1"], ["run"], job) for name, backend in (
        ("sge", sge.GridEngine()), ("pbs", pbs.Pbs()), ("lsf", lsf.Lsf()), ("ssh", ssh.Ssh()),
    )}  # fmt: skip
    assert starts["sge"][0] == ["run", "0"] and starts["sge"][1][1:] == ["-inherit", "-nostdin", "n1", "run", "1"]
    assert starts["pbs"] == [["run", "0"], ["pbsdsh", "-n", "2", "--", "run", "1"]]
    assert starts["lsf"] == [["blaunch", "-no-shell", host, "run", str(rank)] for rank, host in enumerate(("n2", "n1"))]
    assert starts["ssh"][1] == ["ssh", "-tt", "n1", "exec run 1"]


@pytest.mark.parametrize(("hosts", "message"), [
    ("", "no hosts: give --host"), ("h1:x", "bad host 'h1:x'"), ("h1:0", "bad host"), (":4", "bad host"),
])  # fmt: skip
def test_mistakes_in_the_list_of_hosts(run, hosts, message) -> None:
    result = run("ssh.pl", *(["--host", hosts] if hosts else []), "x.log", "true")
    assert result.returncode == 1 and message in result.stderr
    assert "has 2" in run("ssh.pl", "--host", "a,b", "--num-nodes", 3, "x.log", "true").stderr
    assert "host b has 2 slots" in run("ssh.pl", "--host", "a:4,b:2", "--gpu", 4, "x.log", "true").stderr


def test_a_task_without_a_trace_is_lost_after_a_while(tmp_path: Path, monkeypatch) -> None:
    """The scheduler forgot it and no exit status came: it is waited for, and then fails with what there is to say."""
    monkeypatch.chdir(tmp_path)
    backend = slurm.Slurm()
    backend.config = config.load("", "", backend.built_in_config)
    monkeypatch.setattr(backend, "ask", lambda _: [])
    job = watch.job_command.parse_command_line(["x.log", "true"])
    waiting = watch.Watch(backend, job)
    waiting.folder.create()
    Path(waiting.folder.scheduler_log).write_text("slurmstepd: error: couldn't chdir\n")
    waiting.job_of, waiting.task_of = {1: ("7", 0)}, {("7", 0): 1}
    waiting.compare([], 1000.0)
    waiting.judge({}, 1000.0 + watch.STATUS_SECONDS - 1)
    assert waiting.job_of
    waiting.judge({}, 1000.0 + watch.STATUS_SECONDS)
    assert not waiting.job_of and waiting.reasons[1].startswith("lost: the scheduler does not know it any more")
    assert "does the node see this folder?" in waiting.reasons[1] and "couldn't chdir" in waiting.reasons[1]


def test_questions_become_rarer_but_are_never_more_than_one_in_two_seconds(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    now, asked = [1000.0], []
    monkeypatch.setattr(watch, "time", SimpleNamespace(time=lambda: now[0]))
    backend = slurm.Slurm()
    backend.config = config.load("", "", backend.built_in_config)
    tasks = range(1, 10001)
    monkeypatch.setattr(backend, "ask", lambda _: asked.append(now[0]) or [slurm.Entry("7", tasks, "running")])
    waiting = watch.Watch(backend, watch.job_command.parse_command_line(["JOB=1:10000", "x.JOB.log", "true"]))
    waiting.job_of = {task: ("7", task) for task in tasks}
    waiting.task_of = {job: task for task, job in waiting.job_of.items()}
    waiting.changed = now[0]
    while now[0] < 1600:
        if now[0] >= waiting.next_query:
            waiting.look({})
        now[0] += 0.5
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert min(gaps) >= 2 and 10 < gaps[-1] <= 15.5
