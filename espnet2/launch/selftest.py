"""The self-test of a training's processes: all connected and the network measured, or the missing ones named."""

import os
import socket
import time
from collections.abc import Sequence
from datetime import timedelta

import torch
import torch.distributed as dist

from espnet2.utils.errors import UserError

WAIT_SECONDS = 60.0  # the whole test; espnet2.bin.launch --wait_seconds says otherwise
TEST_BYTES = {"cpu": 4_000_000, "cuda": 64_000_000}  # of one all-reduce: about a bucket of DDP's, and a large one
NUM_MEASURED = 3


def meet(rank: int, world_size: int) -> dist.Store:
    """Wait for all processes, through the store that torchrun's environment names.

    Raises:
        UserError: naming the ranks that did not come, and their hosts; or rank 0 cannot be reached.
    """
    seconds = wait_seconds()
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    # torchrun keeps the store itself; without it rank 0 does. PyTorch's own way here would wait without naming anybody.
    serve = rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    try:
        timeout = timedelta(seconds=seconds)
        server = dist.TCPStore(address, port, None, serve, timeout, wait_for_workers=False, multi_tenant=True)
        store = dist.PrefixStore("espnet2", server)
        store.set(f"host/{rank}", socket.gethostname())
        if rank == 0:
            store.set("missing", " ".join(map(str, _missing(store, "host", world_size, seconds))))
        store.wait(["missing"], timedelta(seconds=2 * seconds))
        missing = [int(number) for number in store.get("missing").split()]
    except dist.DistError as error:
        raise UserError(
            f"rank {rank} on {socket.gethostname()} cannot reach rank 0 at {address}:{port} within {seconds:.0f} s "
            f"({str(error).splitlines()[0]}). Check that rank 0 has started (its log), that the name {address} means "
            "the same host here, and that no firewall is between them"
        ) from error
    if missing:
        raise UserError(
            f"{_name(missing, world_size)} did not come within {seconds:.0f} s: see what they wrote to the log, and "
            f"whether their host reaches {address}:{port}"
        )
    return store


def measure_network(store: dist.Store, rank: int, world_size: int, device: torch.device) -> str:
    """All-reduce over all ranks: "4 ranks on 2 hosts, all-reduce of 4 MB: 0.61 GB/s (6.6 ms)".

    Raises:
        UserError: it does not end in time; names the ranks that did not take part.
    """
    seconds, num_bytes = wait_seconds(), TEST_BYTES[device.type]
    tensor = torch.zeros(num_bytes // 4, device=device)
    store.set(f"entered/{rank}", "")
    deadline = time.monotonic() + seconds
    try:
        _finish(dist.all_reduce(tensor, async_op=True), deadline)  # connects, in this first call
        started = time.monotonic()
        for _ in range(NUM_MEASURED):
            _finish(dist.all_reduce(tensor, async_op=True), deadline)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    except (TimeoutError, RuntimeError) as error:
        absent = _missing(store, "entered", world_size, 0)
        who = f"{_name(absent, world_size)} did not take part" if absent else "all ranks are here"
        raise UserError(
            f"the self-test of the network failed on rank {rank} ({socket.gethostname()}): {error}; {who}. Check that "
            "the hosts reach each other on all ports, and name the interface to use in NCCL_SOCKET_IFNAME (GPUs) or "
            "GLOO_SOCKET_IFNAME (CPU), such as eth0"
        ) from error
    elapsed = (time.monotonic() - started) / NUM_MEASURED
    hosts = {store.get(f"host/{other}") for other in range(world_size)}
    return (
        f"{world_size} ranks on {len(hosts)} host(s), all-reduce of {num_bytes / 1e6:.0f} MB: "
        f"{num_bytes / elapsed / 1e9:.2f} GB/s ({1e3 * elapsed:.1f} ms)"
    )


def wait_seconds() -> float:
    """How long the self-test may take."""
    return float(os.environ.get("LAUNCH_WAIT_SECONDS") or WAIT_SECONDS)


def _finish(work: dist.Work, deadline: float) -> None:
    """Wait for a collective in a way that can be given up, with NCCL as with gloo."""
    while not work.is_completed():
        if time.monotonic() > deadline:
            raise TimeoutError("the all-reduce does not end")
        time.sleep(0.0005)
    work.wait()


def _missing(store: dist.Store, key: str, world_size: int, seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    while True:
        missing = [rank for rank in range(world_size) if not store.check([f"{key}/{rank}"])]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(0.02)


def _name(ranks: Sequence[int], world_size: int) -> str:
    """Ranks with their hosts, where the launcher told the hosts (equally many processes on each)."""
    hosts = (os.environ.get("CLUSTER_HOSTS") or "").split()
    if not hosts or world_size % len(hosts):
        return "rank(s) " + ", ".join(map(str, ranks))
    per_host = world_size // len(hosts)
    return "rank(s) " + ", ".join(f"{rank} ({hosts[rank // per_host]})" for rank in ranks)
