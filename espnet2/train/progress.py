"""The heartbeat of a run, exp/<name>/heartbeat, and a guard against restarts again and again in vain."""

import json
import os
import socket
import time
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import write_json
from espnet2.utils.schedulers import restarts_variables

HEARTBEAT = "heartbeat"
RESTARTS = "restarts.json"
BEAT_SECONDS = 10.0  # the heartbeat is written at most so often
MAX_RESTARTS = 3  # in a row from the same update
RESTART_VARIABLES = restarts_variables()


class Heartbeat:
    """exp/<name>/heartbeat: the last update, when it ended and where; old contents mean a run that stands still."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / HEARTBEAT
        self.written_at = -BEAT_SECONDS

    def beat(self, update: int) -> None:
        """Note an update; most calls only look at the clock."""
        now = time.monotonic()
        if now - self.written_at < BEAT_SECONDS:
            return
        self.written_at = now
        temporary = self.path.with_name(f".{HEARTBEAT}.new")
        contents = {"update": update, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "host": socket.gethostname()}
        temporary.write_text(json.dumps(contents) + "\n", encoding="utf-8")  # not flushed: of use only while fresh
        os.replace(temporary, self.path)


def is_restart() -> bool:
    """Whether a queue or launch started this run again by itself; a run started by hand is a new attempt."""
    return any((os.environ.get(name) or "0") != "0" for name in RESTART_VARIABLES)


def count_restarts(directory: Path, update: int) -> None:
    """Note that the run starts from this update; refuse when it was restarted from it again and again.

    Args:
        directory: exp/<name>; restarts.json there holds the count.
        update: of the checkpoint it goes on from; 0 at the start.

    Raises:
        UserError: restarted MAX_RESTARTS times without progress.
    """
    path = directory / RESTARTS
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {"update": -1, "restarts_without_progress": 0}
    stands_still = is_restart() and update <= before["update"]
    count = before["restarts_without_progress"] + 1 if stands_still else 0
    write_json(path, {"update": update, "restarts_without_progress": count})
    if count >= MAX_RESTARTS:
        raise UserError(
            f"{directory}: restarted {count} times in a row from update {update} without getting further than that; "
            f"it stops here. See {directory / 'train.log'} for what ends it (memory, a time limit shorter than "
            "save_interval_minutes, a bad node?); started by hand, run.sh goes on"
        )
