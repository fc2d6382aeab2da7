"""The process group that a task runs in: signals reach it, and its end is waited for."""

import contextlib
import os
import signal
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # that ask a program of this folder to end
GRACE_SECONDS = 60  # for programs that outlive the shell of a stopped task
LAST_SECONDS = 5  # between SIGTERM and SIGKILL for what a killed task leaves behind
# bash waits for the program at work, which gets the signal too and may save. After SIGTERM the shell then ends with its
# status, but never well: in `a | b` b sees the end of a and is content. A scheduler signals one process after the
# other: a may be gone before the shell itself hears of it, so the last pipeline is asked, too. SIGUSR1 only warns.
TRAP = (
    "trap 'exit $(($? ? $? : 143))' TERM\n"
    'trap \'__status=$? __parts=" ${PIPESTATUS[*]} "; '
    'case "$__status$__parts" in 0*" 143 "*) exit 143 ;; esac\' EXIT\n'
    "trap : USR1 USR2\n"
)


def start(shell_text, output, environment=None):
    """Start bash on shell text in a process group of its own, its output to a file descriptor. Returns its id."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.setpgid(0, 0)
            for number in (*SIGNALS, signal.SIGUSR1, signal.SIGUSR2):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, a shell pipeline needs it
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.dup2(reading, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.closerange(3, max(output, reading, writing) + 1)
            os.execvpe("bash", ["bash"], os.environ if environment is None else environment)
        finally:
            os._exit(127)
    os.close(reading)
    with contextlib.suppress(OSError):  # the child did it, and runs bash already
        os.setpgid(process, process)  # here too: a signal may follow before the child has come so far
    try:
        # Through a pipe, not -c: one argument may not be longer than 128 KiB.
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(os.fsencode(TRAP + shell_text + "\n"))
    except BrokenPipeError:
        pass  # bash is gone; its exit code tells
    return process


def send(group, number):
    """Send a signal to a process group. Returns False where the group is gone (number 0 only asks)."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


def wait_for_group(process):
    """Wait for bash and then, for a while, for what it started: a program may still be saving. Returns the status."""
    try:
        status = os.waitpid(process, 0)[1]
    except ChildProcessError:
        status = 0  # waited for just before the signal came
    linger(process)
    return status


def linger(group):
    """Wait until a process group is gone, but not for ever."""
    deadline = time.time() + GRACE_SECONDS
    while send(group, 0) and time.time() < deadline:
        time.sleep(0.05)


def guard(group):
    """End a process group when this process is killed before it says so: a scheduler may kill ours only. Returns a file
    descriptor; to write a byte to it dismisses the guard."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(reading)
        return writing
    try:
        os.setsid()
        for number in (*SIGNALS, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_IGN)
        os.close(writing)
        for descriptor in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        if not os.read(reading, 1):
            send(group, signal.SIGTERM)
            deadline = time.time() + LAST_SECONDS
            while send(group, 0) and time.time() < deadline:
                time.sleep(0.1)
            send(group, signal.SIGKILL)
    finally:
        os._exit(0)


def exit_code(status):
    """What a shell reports for a status of wait(): the exit code, or 128 and the signal."""
    return status >> 8 if status & 127 == 0 else 128 + (status & 127)
