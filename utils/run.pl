#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""[options] [JOB=1:n] log command... -> the command run on this machine, once per task, with a log each.

Kaldi's command line. --max-jobs-run N (default: the number of cores) tasks run at a time; --mem, --num-threads,
--time, --config and the options of queues are accepted and do nothing here; --gpu N runs one task per GPU.
"""

import os
import signal
import sys
import time

import job_command

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_SECONDS = 60  # for programs that outlive the shell of a stopped task


class Stopped(Exception):
    """A signal asks this program to end; its number is the only argument."""


def stop(number, _):
    raise Stopped(number)


def default_parallel_tasks(job):
    """Tasks at a time without --max-jobs-run: the GPUs, or the cores (some more where that spares a second round)."""
    tasks = job.last - job.first + 1
    if job.number("gpu", 0) > 0:
        with os.popen("nvidia-smi -L 2>/dev/null") as listing:
            gpus = len(listing.readlines())
        if gpus == 0:
            sys.stderr.write("run.pl: warning: nvidia-smi lists no GPU; one task at a time\n")
        return max(1, gpus)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tasks if cores < tasks < 1.4 * cores else cores  # 1.4: Kaldi's run.pl


def start(job, task):
    """Start bash on one task in a process group of its own. Returns (process id, log descriptor)."""
    log = job_command.open_log(job.log(task), job.command(task))
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.setpgid(0, 0)
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, a shell pipeline needs it
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.dup2(reading, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, max(log, reading, writing) + 1)
            os.execvp("bash", ["bash"])
        finally:
            os._exit(127)
    os.close(reading)
    try:
        # Through a pipe, not -c: one argument may not be longer than 128 KiB.
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(os.fsencode("( " + job.command(task) + "\n)\n"))
    except BrokenPipeError:
        pass  # bash is gone; its exit code tells
    return process, log


def run(job, limit, running):
    """Run all tasks, at most limit at a time; running {process: (task, log, start time)} is kept up to date.
    Returns the numbers of the failed tasks."""
    threads, failed, waiting = job.number("num-threads", 1), [], list(job.tasks())
    while waiting or running:
        while waiting and len(running) < limit:
            task = waiting.pop(0)
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # no process may start without being noted
            process, log = start(job, task)
            running[process] = (task, log, time.time())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        process, status = os.wait()
        if process not in running:
            continue
        task, log, began = running.pop(process)
        job_command.close_log(log, status >> 8, status & 127, time.time() - began, threads)
        if status:
            failed.append(task)
    return failed


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
    deadline = time.time() + GRACE_SECONDS
    while send(process, 0) and time.time() < deadline:
        time.sleep(0.05)
    return status


def stop_children(running):
    """Ask the process group of every task to end and wait for it; a second signal kills them."""
    number = signal.SIGTERM
    while running:
        try:
            for process in running:
                send(process, number)
            for process, (_, log, began) in list(running.items()):
                status = wait_for_group(process)
                del running[process]
                job_command.close_log(log, status >> 8, status & 127, time.time() - began, 1)
        except Stopped:
            number = signal.SIGKILL


def main():
    job = job_command.parse_command_line(sys.argv[1:])
    limit = job.number("max-jobs-run", 0) or default_parallel_tasks(job)
    running = {}
    for number in SIGNALS:
        signal.signal(number, stop)
    try:
        failed = run(job, limit, running)
    except Stopped as stopped:
        number = stopped.args[0]
        stop_children(running)
        sys.stderr.write(f"run.pl: stopped by signal {number}, log is in {job.log(job.first)}\n")
        sys.exit(128 + number)
    if failed:
        job_command.report_failures(job, sorted(failed))
        sys.exit(1)


main()
