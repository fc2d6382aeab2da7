"""The work of run.pl and stdout.pl: the command on this machine, once per task, with a log each."""

import contextlib
import os
import signal
import sys
import time

from . import job_command, job_process


class Stopped(Exception):
    """A signal asks this program to end; its number is the only argument."""


def stop(number, _):
    raise Stopped(number)


class Running:
    """A task at work: its number, its log, the tee that shows its output (0: none), when it began."""

    def __init__(self, task, log, tee):
        self.task, self.log, self.tee, self.began = task, log, tee, time.time()

    def close(self, status, threads):
        """Frame the end of the log, once everything is in it."""
        if self.tee:
            with contextlib.suppress(ChildProcessError):  # it was waited for together with the tasks
                os.waitpid(self.tee, 0)
        job_command.close_log(self.log, status >> 8, status & 127, time.time() - self.began, threads)


def default_parallel_tasks(job):
    """Tasks at a time without --max-jobs-run: the GPUs, or the cores (some more where that spares a second round)."""
    tasks = job.last - job.first + 1
    if job.number("gpu", 0) > 0:
        with os.popen("nvidia-smi -L 2>/dev/null") as listing:
            gpus = len(listing.readlines())
        if gpus == 0:
            sys.stderr.write(f"{job_command.program()}: warning: nvidia-smi lists no GPU; one task at a time\n")
        return max(1, gpus)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tasks if cores < tasks < 1.4 * cores else cores  # 1.4: Kaldi's run.pl


def start_tee(log):
    """A tee to standard output and to a log. Returns (its process, where to write)."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.setpgid(0, 0)  # a Ctrl-C ends the task, whose last words still pass
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.dup2(reading, 0)
            os.closerange(3, max(reading, writing) + 1)
            os.execvp("tee", ["tee", "-a", log])
        finally:
            os._exit(127)
    os.close(reading)
    os.set_inheritable(writing, False)
    return process, writing


def start(job, task, restarts, show):
    """Start bash on one task. Returns (process, Running)."""
    log = job_command.open_log(job.log(task), job.command(task), again=restarts > 0)
    tee, output = start_tee(job.log(task)) if show else (0, log)
    host = os.uname().nodename
    environment = dict(
        os.environ, CLUSTER_BACKEND="stdout" if show else "local", CLUSTER_JOB=f"{host.split('.')[0]}{os.getpid()}",
        CLUSTER_HOSTS=host, CLUSTER_NUM_NODES="1", CLUSTER_NODE_RANK="0", CLUSTER_RESTARTS=str(restarts),
        CLUSTER_REQUEUE=job.options.get("requeue", "false"),
    )  # fmt: skip
    process = job_process.start(job.command(task), output, environment)
    if tee:
        os.close(output)
    return process, Running(task, log, tee)


def run(job, limit, running, show):
    """Run all tasks, at most limit at a time; running {process: Running} is kept up to date.
    Returns the numbers of the failed tasks."""
    threads, requeue = job.number("num-threads", 1), job.flag("requeue")
    failed, waiting, restarts = [], list(job.tasks()), {}
    while waiting or running:
        while waiting and len(running) < limit:
            task = waiting.pop(0)
            signal.pthread_sigmask(signal.SIG_BLOCK, job_process.SIGNALS)  # no process may start without being noted
            process, started = start(job, task, restarts.get(task, 0), show)
            running[process] = started
            signal.pthread_sigmask(signal.SIG_UNBLOCK, job_process.SIGNALS)
        process, status = os.wait()
        if process not in running:
            continue
        ended = running.pop(process)
        ended.close(status, threads)
        if status >> 8 == job_command.REQUEUE_CODE and requeue:
            restarts[ended.task] = restarts.get(ended.task, 0) + 1
            waiting.append(ended.task)
            sys.stderr.write(f"{job_command.program()}: exit code 99: started again, {job.log(ended.task)}\n")
        elif status:
            failed.append(ended.task)
    return failed


def stop_children(running):
    """Ask the process group of every task to end and wait for it; a second signal kills them."""
    number = signal.SIGTERM
    while running:
        try:
            for process in running:
                job_process.send(process, number)
            for process, ended in list(running.items()):
                status = job_process.wait_for_group(process)
                del running[process]
                ended.close(status, 1)
        except Stopped:
            number = signal.SIGKILL


def main(show):
    """Run what the command line says; show: the output goes to standard output too."""
    job = job_command.parse_command_line(sys.argv[1:])
    name = job_command.program()
    if job.number("num-nodes", 1) > 1:
        job_command.fail(f"--num-nodes {job.options['num-nodes']}: {name} runs on this machine only; choose a queue or "
                         "ssh as cmd_backend in cmd.sh")  # fmt: skip
    limit = job.number("max-jobs-run", 0) or (1 if show else default_parallel_tasks(job))
    if job.flag("dry-run"):
        sys.stdout.write("".join(f"# log: {job.log(task)}\n{job.command(task)}\n" for task in job.tasks()))
        return
    running = {}
    for number in job_process.SIGNALS:
        signal.signal(number, stop)
    try:
        failed = run(job, limit, running, show)
    except Stopped as stopped:
        number = stopped.args[0]
        stop_children(running)
        sys.stderr.write(f"{name}: stopped by signal {number}, log is in {job.log(job.first)}\n")
        sys.exit(128 + number)
    if failed:
        job_command.report_failures(job, sorted(failed))
        sys.exit(1)
