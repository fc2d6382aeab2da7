"""A recipe's script and its arguments -> the script run, its exit status; a signal ends everything below it.

Usage: supervise.py <script> [its arguments]

Bash waits for the program at work before it looks at a signal, and a killed script leaves its programs behind. So
ssl1.sh and hubert1.sh run under this program, which knows all that they started: it passes the stop on, waits for jobs
to be cancelled and checkpoints to be written, and leaves nothing running.
"""

import contextlib
import ctypes
import os
import shlex
import signal
import sys
import tempfile
import time

import run_lock

MARK = "RECIPE_SUPERVISOR"  # its process id, in the environment of all that runs below it
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
# run.pl waits 60 s for programs that save, the queues' programs try for 30 s to cancel; a checkpoint may take longer.
GRACE_SECONDS = 150
TELL_SECONDS = 10
STOPPED_STATUS = 128
MANAGERS = tuple(f"/{name}.pl" for name in "run stdout slurm queue pbs bsub ssh".split())


def say(message):
    sys.stderr.write(f"{time.strftime('%F %T')} {os.path.basename(sys.argv[1])}: {message}\n")
    sys.stderr.flush()


def prctl(option, value):
    """Ask the kernel for what only Linux has; elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def process_table():
    """{process: (parent, words of its command line)} of all that can be seen."""
    table = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:
                fields = stream.read().rsplit(b")", 1)[1].split()
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                words = stream.read().decode(errors="replace").split("\0")
        except (OSError, IndexError):  # it ended meanwhile
            continue
        if fields[0] != b"Z":
            table[int(name)] = (int(fields[1]), words)
    return table


def is_manager(words):
    """Whether a process ends its own children: run.pl and its kin stop tasks and cancel jobs."""
    return any(word.endswith(MANAGERS) for word in words[:4])


def below(root, table, into_managers):
    """The processes below one, parents first."""
    children = {}
    for process, (parent, _) in table.items():
        children.setdefault(parent, []).append(process)
    order, waiting = [], [root]
    while waiting:
        process = waiting.pop(0)
        if process != root:
            order.append(process)
            if is_manager(table[process][1]) and not into_managers:
                continue
        waiting += sorted(children.get(process, []))
    return order


def tell(processes, number):
    for process in processes:
        with contextlib.suppress(OSError):  # gone
            os.kill(process, number)


class Supervisor:
    """One script, and the signals that came."""

    def __init__(self):
        self.stopped_by = None
        self.asked = 0  # signals that asked to stop
        self.parent = os.getppid()
        handle, self.locks = tempfile.mkstemp(prefix="recipe_locks.")
        os.close(handle)
        self.beat_at = time.monotonic()

    def stop(self, number, _):
        self.stopped_by = self.stopped_by or number
        self.asked += 1

    def watch_parent(self):
        """End with a script that waits for this one and is killed.

        An old run.sh starts ssl1.sh and waits. It has our process group (an interactive shell gives each job its own),
        and has not put us into the background (there bash ignores SIGINT). In every other case the run outlives it.
        """
        in_background = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        try:
            waits = os.getpgid(self.parent) == os.getpgrp() and not in_background
        except OSError:
            waits = False
        if waits:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != self.parent:  # it died before the kernel knew
                self.stop(signal.SIGTERM, None)

    def run(self, words):
        """Start the script and wait for it, or for a signal: its exit status."""
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self.watch_parent()
        script = os.fork()
        if script == 0:
            try:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, shells need it
                me = str(os.getppid())
                variables = {MARK: me, run_lock.KEEPER: me, run_lock.LOCKS: self.locks}
                variables[run_lock.COMMAND] = shlex.join(words)
                os.execvpe("bash", ["bash", *words], {**os.environ, **variables})
            finally:
                os._exit(127)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self.stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = None
        while status is None and not self.asked:
            status = self.wait(script)
            self.beat()
        if not self.asked:
            return os.waitstatus_to_exitcode(status) % 256 if status >= 0 else 1
        self.end_all()
        say(f"stopped by {signal.Signals(self.stopped_by).name}; the same command goes on where it stopped")
        return STOPPED_STATUS + self.stopped_by

    def wait(self, script):
        """One child, or a signal: the wait status of the script, None for anything else."""
        try:
            # A signal between this line and the next would be slept through: the sleep is short.
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 1 << 8
        if process == 0:
            signal.sigtimedwait([signal.SIGCHLD], 0.2)
        return status if process == script else None

    def end_all(self):
        """Pass the stop on and wait until nothing is left below."""
        me, began, told, passed = os.getpid(), time.monotonic(), time.monotonic(), 0
        while True:
            self.reap()
            self.beat()
            left = below(me, process_table(), into_managers=True)
            if not left:
                return
            now = time.monotonic()
            if self.asked > passed:
                passed = self.asked
                tell(below(me, process_table(), into_managers=False), signal.SIGTERM)
            if now - began > GRACE_SECONDS or self.asked > 2:
                tell(left, signal.SIGKILL)
            if now - told > TELL_SECONDS:
                told = now
                names = ", ".join(f"{process} ({' '.join(process_table().get(process, (0, ['gone']))[1])[:60]})"
                                  for process in left[:3])  # fmt: skip
                say(f"stopping; waiting for {len(left)} processes: {names}")
            time.sleep(0.05)

    def beat(self):
        """Show others that the locks of this run are held."""
        if time.monotonic() - self.beat_at > run_lock.run_lock.BEAT_SECONDS:
            self.beat_at = time.monotonic()
            for folder in run_lock.read_folders(self.locks):
                run_lock.run_lock.beat(folder)

    def close(self):
        """Give up all locks."""
        for folder in run_lock.read_folders(self.locks):
            run_lock.run_lock.release(folder)
        os.unlink(self.locks)

    def reap(self):
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    supervisor = Supervisor()
    try:
        exit_status = supervisor.run(sys.argv[1:])
    finally:
        supervisor.close()
    sys.exit(exit_status)
