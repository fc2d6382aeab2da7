"""Back ends are found by file, and each says itself which variables its scheduler puts into a job."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

from espnet2.utils.run_lock import Holder
from espnet2.utils.schedulers import job_variables, restarts_variables, schedulers

sys.path.insert(0, str(ROOT / "utils"))
backends, slurm = (importlib.import_module(f"cluster.{name}") for name in ("backends", "slurm"))

# Of the wrapper of tasks, before each back end named its own.
OF_THE_NODE = re.compile(
    "(SLURM|SBATCH|SRUN|PMI|SGE_|PBS_|LSB_|LSF_|LS_|JOB_|SSH_|CLUSTER_|TASK_ID|NSLOTS|NHOSTS|NQUEUES|PE_|OMPI_)|"
    "(PE|QUEUE|REQUEST|RESTARTED|ARC|ENVIRONMENT|CUDA_VISIBLE_DEVICES|ROCR_VISIBLE_DEVICES|HIP_VISIBLE_DEVICES|"
    r"GPU_DEVICE_ORDINAL|NVIDIA_VISIBLE_DEVICES|TMPDIR|HOSTNAME|HOST|XDG_RUNTIME_DIR|KRB5CCNAME)\Z"
)


def test_names_are_those_of_cmd_backend() -> None:
    assert backends.names() == ["lsf", "pbs", "sge", "slurm", "ssh"]
    assert [backend.name for backend in backends.every()] == ["slurm", "sge", "pbs", "lsf", "ssh"]
    assert all(backends.by_name(name).name == name for name in backends.names())


def test_a_task_gets_the_variables_of_before() -> None:
    begins = re.findall(r"\w+", OF_THE_NODE.pattern.replace(r"\Z", ""))
    names = [
        name + end for name in [*begins, "PATH", "HOME", "LSOF", "PERL5LIB", "JOBS", "SSL"] for end in ("", "X", "_X")
    ]
    pattern = backends.variables_of_the_node()
    assert [bool(pattern.match(name)) for name in names] == [bool(OF_THE_NODE.match(name)) for name in names]


def test_others_ask_the_same_files() -> None:
    assert job_variables() == ("CLUSTER_JOB", "SLURM_JOB_ID", "JOB_ID", "PBS_JOBID", "LSB_JOBID")
    assert restarts_variables() == ("CLUSTER_RESTARTS", "SLURM_RESTART_COUNT", "RESTARTED")
    hosts = [name for scheduler in schedulers() for name in scheduler.hosts_variables]
    assert hosts == ["SLURM_JOB_NODELIST", "PE_HOSTFILE", "PBS_NODEFILE", "LSB_DJOB_HOSTFILE", "LSB_MCPU_HOSTS"]


def test_a_new_back_end_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flux.py").write_text(
        "from cluster.backend import Backend\n\n\nclass Flux(Backend):\n"
        "    name, title, asking_order = 'flux', 'Flux', 15\n"
        "    variables, hosts_variables = ('FLUX_',), ('FLUX_HOSTS',)\n"
    )
    package = importlib.import_module("cluster")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    names = [*backends.names(), "flux"]
    monkeypatch.setattr(backends, "names", lambda: names)
    assert [backend.name for backend in backends.every()][:3] == ["slurm", "flux", "sge"]
    assert backends.variables_of_the_node().match("FLUX_JOB") and backends.names_hosts({"FLUX_HOSTS": "a"})


@pytest.mark.parametrize("variable", ["SLURM_JOB_NODELIST", "PE_HOSTFILE", "PBS_NODEFILE", "LSB_MCPU_HOSTS", ""])
def test_a_shell_script_asks_whether_this_is_a_job(variable: str) -> None:
    words = [str(ROOT / "utils/python.sh"), "-SE", str(ROOT / "utils/in_cluster_job.py")]
    environment = {"PATH": "/usr/bin:/bin"} | ({variable: "x"} if variable else {})
    assert subprocess.run(words, env=environment, check=False).returncode == (0 if variable else 1)


def test_a_lock_names_the_job_of_any_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in job_variables():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LSB_JOBID", "17")
    assert Holder.of(1, "x").job == "17"


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node1", ["node1"]),
        ("node[1-3]", ["node1", "node2", "node3"]),
        ("gpu[008-010,12]-ib,login", ["gpu008-ib", "gpu009-ib", "gpu010-ib", "gpu12-ib", "login"]),
        ("c[1-2]n[01-02]", ["c1n01", "c1n02", "c2n01", "c2n02"]),
        ("b2,a1", ["b2", "a1"]),
    ],
)
def test_nodelist_of_slurm(text: str, hosts: list[str]) -> None:
    assert slurm.expand_nodelist(text) == hosts
