"""The meeting of a job's nodes: all come together or the missing one is named, and all end when one ends."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from torch.distributed import DistError, TCPStore

from espnet2.launch.hosts import NodePosition
from espnet2.launch.signals import REQUEUE_EXIT_CODE
from espnet2.utils.errors import UserError

BEAT_SECONDS = 2.0  # between two signs of life of a node
SILENT_SECONDS = 60.0  # without a sign of life: the node is lost
GRACE_SECONDS = 10.0  # for processes to end by themselves after another node's have failed
FAILED_STATUS = 1
END_SIGNAL = signal.SIGHUP  # to ourselves: torchrun ends its processes at once, nothing is saved


class Meeting:
    """All nodes of a job, through a store on node 0."""

    def __init__(self, position: NodePosition, *, wait_seconds: float) -> None:
        self.position, self.wait_seconds = position, wait_seconds
        self.failure: str | None = None  # of another node, once it is known
        self.store = self._open(wait_seconds, serve=position.node_rank == 0)

    def gather(self, attempt: int) -> None:
        """Wait for all nodes.

        Raises:
            UserError: on node 0, naming those that did not come; on the others, that node 0 gave up.
        """
        rank, hosts = self.position.node_rank, self.position.hosts
        self.store.set(f"here/{attempt}/{rank}", socket.gethostname())
        if rank == 0:
            missing = self._missing(attempt)
            self.store.set(f"go/{attempt}", ",".join(map(str, missing)))
            if missing:
                raise UserError(self._describe_missing(missing))
            return
        # Node 0 waits for the slowest; whoever came first waits as long, and longer.
        self.store.wait([f"go/{attempt}"], timedelta(seconds=2 * self.wait_seconds))
        if absent := self.store.get(f"go/{attempt}").decode():
            raise UserError(f"node {rank} ({hosts[rank]}) is here, but node(s) {absent} did not come; see node 0")

    def report(self, attempt: int, status: int) -> int:
        """Tell the others that this node has ended badly; the status of the first that did, the same on all nodes."""
        rank = self.position.node_rank
        try:
            if not self.failure and status != REQUEUE_EXIT_CODE:
                self._name_silent(attempt)
            first = self.store.compare_set(f"failed/{attempt}", "", f"{status} {rank}").decode()
        except (DistError, RuntimeError):  # node 0 has ended before this one
            return status
        return int(first.split()[0])

    @contextmanager
    def watched(self, attempt: int) -> Iterator[None]:
        """Around torchrun on this node: END_SIGNAL to this process when another node fails or is lost."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(attempt, done), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join(BEAT_SECONDS)

    def leave(self, attempt: int) -> None:
        """Say that this node has ended; node 0, which holds the store, waits a little for the others to read it."""
        try:
            self.store.set(f"left/{attempt}/{self.position.node_rank}", "")
            if self.position.node_rank == 0:
                names = [f"left/{attempt}/{node}" for node in range(len(self.position.hosts))]
                self._poll(names, GRACE_SECONDS + 2 * BEAT_SECONDS)
        except (DistError, RuntimeError):
            pass  # node 0 has ended before this one

    def _name_silent(self, attempt: int) -> None:
        """Say which other nodes are gone: their loss may be what ended the processes here, and is not known yet."""
        others = [node for node in range(len(self.position.hosts)) if node != self.position.node_rank]

        def beats() -> list[bytes]:
            names = [f"beat/{attempt}/{node}" for node in others]
            return [self.store.get(name) if self.store.check([name]) else b"" for name in names]

        before = beats()
        time.sleep(3 * BEAT_SECONDS)
        for node, was, now in zip(others, before, beats(), strict=True):
            if was == now and not self.store.check([f"left/{attempt}/{node}"]):
                print(
                    f"launch: node {node} ({self.position.hosts[node]}) gives no sign of life",
                    file=sys.stderr,
                    flush=True,
                )

    def _open(self, seconds: float, *, serve: bool) -> TCPStore:
        address, port = self.position.hosts[0], self.position.port
        try:
            return TCPStore(
                address, port, None, serve, timedelta(seconds=seconds), wait_for_workers=False, multi_tenant=False
            )
        except (DistError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            if serve:
                raise UserError(
                    f"node 0 ({address}) cannot listen on port {port} ({reason}); is another program using it? "
                    "--master_port gives another"
                ) from error
            raise UserError(
                f"node {self.position.node_rank} ({self.position.host}) cannot reach node 0 at {address}:{port} within "
                f"{seconds:.0f} s ({reason}). Check that node 0 has started (its log), that the name {address} means "
                "the same host here, and that no firewall is between them"
            ) from error

    def _poll(self, names: list[str], seconds: float) -> list[int]:
        """Wait for keys; the positions of those that did not come."""
        deadline = time.monotonic() + seconds
        while True:
            missing = [position for position, name in enumerate(names) if not self.store.check([name])]
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(0.05)

    def _missing(self, attempt: int) -> list[int]:
        return self._poll([f"here/{attempt}/{node}" for node in range(len(self.position.hosts))], self.wait_seconds)

    def _describe_missing(self, missing: list[int]) -> str:
        names = ", ".join(f"node {node} ({self.position.hosts[node]})" for node in missing)
        return (
            f"{names} did not come within {self.wait_seconds:.0f} s; {len(self.position.hosts) - len(missing)} of "
            f"{len(self.position.hosts)} nodes are here. Check there that the host is up, that launch has started (its "
            f"lines in the log), that {os.getcwd()} is the same folder, and that {self.position.hosts[0]}:"
            f"{self.position.port} can be reached; --wait_seconds gives slow nodes more time"
        )

    def _watch(self, attempt: int, done: threading.Event) -> None:
        """Give signs of life, look for failures, and end this node when there is one (a thread of its own)."""
        rank, beats = self.position.node_rank, 0
        seen = {node: ("", time.monotonic()) for node in range(len(self.position.hosts))}
        try:
            store = self._open(self.wait_seconds, serve=False)
            while not done.wait(BEAT_SECONDS):
                store.set(f"beat/{attempt}/{rank}", str(beats := beats + 1))
                if rank == 0:
                    self._notice_silence(store, attempt, seen)
                if store.check([f"failed/{attempt}"]):
                    status, node = map(int, store.get(f"failed/{attempt}").decode().split())
                    if status == REQUEUE_EXIT_CODE:
                        return  # all ranks have saved together: let each end by itself
                    self.failure = f"node {node} ({self.position.hosts[node]}) ended with status {status}"
                    break
        except (DistError, RuntimeError, UserError):
            self.failure = f"node 0 ({self.position.hosts[0]}) is gone"
        if self.failure and not done.wait(GRACE_SECONDS):
            print(f"launch: {self.failure}; ending the processes of {self.position.host}", file=sys.stderr, flush=True)
            os.kill(os.getpid(), END_SIGNAL)
            if not done.wait(2 * GRACE_SECONDS):  # torchrun waits for the other nodes, deaf to signals; no process left
                os._exit(FAILED_STATUS)

    def _notice_silence(self, store: TCPStore, attempt: int, seen: dict[int, tuple[str, float]]) -> None:
        for node, (beat, since) in seen.items():
            name = f"beat/{attempt}/{node}"
            now = store.get(name).decode() if store.check([name]) else ""
            if now != beat:
                seen[node] = now, time.monotonic()
            elif time.monotonic() - since > SILENT_SECONDS and not store.check([f"left/{attempt}/{node}"]):
                print(
                    f"launch: no sign of life of node {node} ({self.position.hosts[node]})", file=sys.stderr, flush=True
                )
                store.compare_set(f"failed/{attempt}", "", f"1 {node}")
