"""Starts of a run by hand and by a queue in; a heartbeat, and a stop to restarts that lead nowhere, out."""

import json

import pytest

from espnet2.train import progress
from espnet2.train.distributed import process_group
from espnet2.train.progress import RESTART_VARIABLES, Heartbeat, count_restarts
from espnet2.utils.errors import UserError


def test_three_restarts_without_progress_stop_the_run(tmp_path, monkeypatch):
    for name in RESTART_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    count_restarts(tmp_path, 0)
    monkeypatch.setenv("CLUSTER_RESTARTS", "1")
    count_restarts(tmp_path, 0)
    count_restarts(tmp_path, 10)  # further than before
    count_restarts(tmp_path, 10)
    count_restarts(tmp_path, 10)
    with pytest.raises(UserError, match="restarted 3 times in a row from update 10 without getting further"):
        count_restarts(tmp_path, 10)
    monkeypatch.setenv("CLUSTER_RESTARTS", "0")
    count_restarts(tmp_path, 10)  # by hand: a new attempt
    assert json.loads((tmp_path / "restarts.json").read_text()) == {"update": 10, "restarts_without_progress": 0}


@pytest.mark.parametrize("name", RESTART_VARIABLES)
def test_queues_say_that_they_started_a_job_again(tmp_path, monkeypatch, name):
    for other in RESTART_VARIABLES:
        monkeypatch.setenv(other, "0")
    assert not progress.is_restart()
    monkeypatch.setenv(name, "2")
    assert progress.is_restart()


def test_heartbeat_tells_the_last_update(tmp_path, monkeypatch):
    heartbeat = Heartbeat(tmp_path)
    heartbeat.beat(1)
    heartbeat.beat(2)  # too soon to write again
    first = json.loads((tmp_path / "heartbeat").read_text())
    assert first["update"] == 1 and first.keys() == {"update", "time", "host"}
    monkeypatch.setattr(progress, "BEAT_SECONDS", 0.0)
    heartbeat.beat(3)
    assert json.loads((tmp_path / "heartbeat").read_text())["update"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["heartbeat"]


def test_a_rank_that_does_not_come_is_named_with_its_host(monkeypatch):
    environment = {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
    }
    for name, value in {
        **environment,
        "MASTER_PORT": "0",
        "CLUSTER_HOSTS": "h1 h2",
        "LAUNCH_WAIT_SECONDS": "0.5",
    }.items():
        monkeypatch.setenv(name, value)
    missing = r"rank\(s\) 1 \(h1\), 2 \(h2\), 3 \(h2\) did not come within 0 s"
    with pytest.raises(UserError, match=missing), process_group(0):
        pass


def test_a_rank_that_cannot_reach_the_first_says_so(monkeypatch):
    environment = {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
    }
    for name, value in {**environment, "MASTER_PORT": "9", "LAUNCH_WAIT_SECONDS": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="cannot reach rank 0 at localhost:9 within 1 s"), process_group(0):
        pass
