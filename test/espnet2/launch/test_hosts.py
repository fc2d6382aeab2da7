"""What each scheduler writes into a job's environment in, hosts in its order, this node's place and a port out."""

import os

import pytest

from espnet2.launch.hosts import NUM_JOBS, NUM_PORTS, find_node_position, job_port, parse_hosts
from espnet2.utils.errors import UserError

THIS_HOST = os.uname().nodename


def test_slurm_says_everything():
    position = find_node_position({"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "node[7-8]", "SLURM_NODEID": "1"}, 2)
    assert (position.hosts, position.node_rank, position.host, position.port) == (
        ("node7", "node8"),
        1,
        "node8",
        job_port("42"),
    )


@pytest.mark.parametrize(
    ("variable", "job", "text"),
    [
        ("PE_HOSTFILE", "JOB_ID", "first.site 4 all.q@first UNDEFINED\n{this_host} 4 all.q@own UNDEFINED\n"),
        ("PBS_NODEFILE", "PBS_JOBID", "first\nfirst\n{this_host}\n{this_host}\n"),
        ("LSB_DJOB_HOSTFILE", "LSB_JOBID", "first\nfirst\n{this_host}\n"),
    ],
)
def test_files_of_other_schedulers(tmp_path, variable, job, text):
    (tmp_path / "hosts").write_text(text.format(this_host=f"{THIS_HOST.partition('.')[0]}.cluster.site"))
    position = find_node_position({variable: str(tmp_path / "hosts"), job: "7"}, 2)
    assert position.hosts[0].startswith("first") and position.node_rank == 1 and position.port == job_port("7")


def test_lsf_without_a_file():
    assert find_node_position({"LSB_MCPU_HOSTS": f"{THIS_HOST} 8 other 8", "LSB_JOBID": "7"}, 2).hosts == (
        THIS_HOST,
        "other",
    )


def test_our_back_ends_come_before_the_scheduler_and_hands_before_both():
    job = {"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "node[7-8]"}
    ours = {**job, "CLUSTER_HOSTS": "a b", "CLUSTER_NODE_RANK": "1", "CLUSTER_JOB": "9"}
    assert find_node_position(ours, 2).hosts == ("a", "b")
    assert find_node_position({**ours, "CLUSTER_HOSTS": "login"}, 2).hosts == (
        "node7",
        "node8",
    )  # run.pl inside an own job
    position = find_node_position({**ours, "NODE_RANK": "0", "MASTER_ADDR": "h0", "MASTER_PORT": "1234"}, 2)
    assert (position.hosts[0], position.node_rank, position.port) == ("h0", 0, 1234)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "no list of hosts"),
        ({"SLURM_JOB_NODELIST": "node[1-4]"}, "--nnodes 2, but the job has 4 node"),
        ({"PBS_NODEFILE": "/nowhere/file"}, "cannot be read here"),
        ({"LSB_MCPU_HOSTS": "a 1 b 1"}, f"lists a, b, but this is {THIS_HOST}"),
        ({"NODE_RANK": "2", "MASTER_ADDR": "a"}, "numbered from 0"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(environment, message):
    with pytest.raises(UserError, match=message):
        find_node_position(environment, 2)


def test_ports_of_neighbours_in_the_queue_do_not_meet():
    ports = {job_port(str(job)) + offset for job in range(1000, 1000 + NUM_JOBS) for offset in range(NUM_PORTS)}
    assert len(ports) == NUM_JOBS * NUM_PORTS
    assert min(ports) >= 10000 and max(ports) < 32768
    assert job_port("12_3.server") == job_port("12_3.server") != job_port("12_4.server")


def test_hosts_of_the_command_line():
    assert parse_hosts("h1:4, me@h2.site:2,h3") == [("h1", 4), ("me@h2.site", 2), ("h3", 1)]
    for wrong in ("", "h1:0", "h1:4,,h2", "h 1"):
        with pytest.raises(UserError, match="expected h1:4,h2:4"):
            parse_hosts(wrong)
