"""The work of slurm.pl and its kin: submit the tasks, wait for them, report failures, obey signals."""

import shlex
import signal
import sys
import time

from . import config as configuration
from . import job_command, job_process
from .backend import Refused, Unavailable
from .folder import Folder

STATUS_SECONDS = 60  # (--status-seconds) for a status file to become visible once a task is over: NFS, acdirmax
PENDING_SECONDS = 60  # before the first word on why nothing runs
MAXIMUM_QUERY_SECONDS = 15  # between questions on jobs that take long
CANCEL_SECONDS = 30  # to go on trying to cancel
SUBMIT_SECONDS = 3600  # to go on trying to submit while the scheduler does not answer


class Stopped(Exception):
    """A signal asks this program to end; its number is the only argument."""


def stop(number, _):
    raise Stopped(number)


def say(message):
    """One line on standard error."""
    sys.stderr.write(f"{job_command.program()}: {message}\n")
    sys.stderr.flush()


class Watch:
    """The tasks of one call: what is submitted, what has ended, and why."""

    def __init__(self, backend, job):
        self.backend, self.job = backend, job
        self.limit = job.number("max-jobs-run", 0)
        self.status_seconds = job.number("status-seconds", STATUS_SECONDS)
        left_out = backend.left_out_with_nodes if job.number("num-nodes", 1) > 1 else ("num-nodes",)
        options = {name: value for name, value in job.options.items() if name != "max-jobs-run"}
        self.words = backend.config.words(options, left_out) + job.passed
        self.folder = Folder(job, backend)
        self.waiting = []  # ranges of tasks (first, last) that are not submitted yet
        self.job_of = {}  # {task: (job id, index)} of the open tasks that are submitted
        self.task_of = {}  # the other way round, for all ever submitted
        self.reasons = {}  # {task: reason} of the failed
        self.gone_since = {}  # {task: time at which the scheduler first did not know it}
        self.requeued = set()  # pending tasks that have run before, of which the user knows
        self.next_query = self.changed = self.silent_since = 0.0
        self.explaining = False  # the last question was how tasks ended, not which live
        self.pending_since, self.said = time.time(), ""

    # Submitting.

    def ranges(self):
        """The tasks as ranges (first, last) that the scheduler takes as one array each; all take a thousand."""
        job = self.job
        limit = 1000 if job.last <= 1000 or job.first == job.last else self.backend.array_limit()
        if job.last <= limit or job.first == job.last:
            return [(job.first, job.last)]
        return [(first, min(job.last, first + limit - 1)) for first in range(job.first, job.last + 1, limit)]

    def submission(self, first, last):
        """(words without the script, script text, offset) of the tasks first..last."""
        array = last > first
        split = (first, last) != (self.job.first, self.job.last)
        offset = first - 1 if split and array else 0
        parts = (first - offset, last - offset, self.limit) if array else ""
        words = self.backend.submit_words(self.words, self.folder.name, parts, self.folder.scheduler_log)
        return words, self.folder.script(first, last, self.backend.index if array else "", offset), offset

    def submit(self, first, last):
        """Submit the tasks first..last, however long the scheduler takes to answer."""
        words, text, offset = self.submission(first, last)
        script, deadline = self.folder.write_script(first, text), time.time() + SUBMIT_SECONDS
        signal.pthread_sigmask(signal.SIG_BLOCK, job_process.SIGNALS)  # no job may be submitted and not be noted
        try:
            job_id = None
            while job_id is None:
                try:
                    job_id = self.backend.submitted(script) if self.silent_since else None
                    job_id = job_id or self.backend.submit(words, script)
                except Unavailable as error:
                    if time.time() > deadline:
                        raise Refused(str(error)) from None
                    self.note_silence(error)
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, job_process.SIGNALS)
                    time.sleep(self.backend.query_seconds)
                    signal.pthread_sigmask(signal.SIG_BLOCK, job_process.SIGNALS)
            self.note_answer()
            for task in range(first, last + 1):
                self.job_of[task] = (job_id, task - offset if last > first else 0)
                self.task_of[self.job_of[task]] = task
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, job_process.SIGNALS)
        self.next_query = time.time() + self.backend.query_seconds
        self.changed = time.time()

    def submit_waiting(self):
        """Submit what may be: all arrays, or with --max-jobs-run one after the other, as each keeps to the limit."""
        while self.waiting and not (self.limit and self.job_of):
            first, last = self.waiting.pop(0)
            self.submit(first, last)

    # Waiting.

    def run(self):
        """Submit and wait for all tasks. Returns {task: reason} of the failed ones."""
        self.waiting = self.ranges()
        pause = 0.05
        while True:
            self.submit_waiting()
            statuses = self.take_successes()
            if not self.job_of and not self.waiting:
                return self.reasons
            if time.time() >= self.next_query:
                self.look(statuses)
            else:
                time.sleep(pause)
                pause = min(1.0, pause * 1.2)

    def take_successes(self):
        """Forget the tasks that ended well. Returns the exit codes of all that ended."""
        statuses = self.folder.statuses()
        for task in [task for task in self.job_of if statuses.get(task) == 0]:
            self.close(task)
        return statuses

    def close(self, task, reason=None):
        """A task is over; with a reason it failed."""
        del self.job_of[task]
        self.gone_since.pop(task, None)
        self.changed = time.time()
        if reason is not None:
            self.reasons[task] = reason

    def look(self, statuses):
        """Ask the scheduler, once: which tasks live, or why those that do not live ended."""
        now = time.time()
        slower = min(MAXIMUM_QUERY_SECONDS, (now - self.changed) / 20)  # while nothing changes
        self.next_query = now + (max(self.backend.query_seconds, slower) if self.backend.others_serve else 0.1)
        job_ids = sorted({job_id for job_id, _ in self.job_of.values()}, key=str)
        try:
            self.explaining = bool(self.gone_since) and not self.explaining  # in turn: they may have come back
            if self.explaining:
                gone = [self.job_of[task] for task in self.gone_since]
                self.judge(self.backend.explain(job_ids, gone), now)
            else:
                self.compare(self.backend.ask(job_ids), now)
        except Unavailable as error:
            self.note_silence(error)
        else:
            self.note_answer()

    def compare(self, entries, now):
        """Note which open tasks the scheduler does not know any more, and those that went back into the queue."""
        states, details = {}, {}
        for entry in entries:
            for index in entry.indices:
                task = self.task_of.get((entry.job_id, index))
                if task in self.job_of:
                    states[task], details[task] = entry.state, entry.detail
        statuses = self.take_successes()  # some ended while the scheduler was asked
        started = self.folder.started()
        pending = {task for task in self.job_of if states.get(task) == "pending"}
        requeued = sorted(task for task in (pending & started) - self.requeued)
        if requeued:
            say(f"{self.named(requeued)} went back into the queue ({details[requeued[0]] or 'requeued'}); waiting")
        self.requeued = (self.requeued | set(requeued)) & pending
        broken = [task for task in self.job_of if states.get(task) == "error"]
        if broken:
            self.backend.cancel([], [self.job_of[task] for task in broken])
        for task in broken:
            code = statuses.get(task)  # it may have run before
            self.close(task, f"exit code {code}" if code else f"the scheduler cannot run it: {details[task]}")
        for task in self.job_of:
            if task in states:
                self.gone_since.pop(task, None)
            else:
                self.gone_since.setdefault(task, now)
        if self.gone_since:
            self.next_query = now + self.backend.query_seconds
        self.tell_why_pending(states, details, now)

    def tell_why_pending(self, states, details, now):
        """After a while in which nothing runs, say what the scheduler says about it, once for each reason."""
        pending = [task for task in self.job_of if states.get(task) == "pending"]
        if not pending or len(pending) < len(self.job_of):
            self.pending_since, self.said = now, ""
        elif now - self.pending_since >= PENDING_SECONDS and details[pending[0]] != self.said:
            self.said = details[pending[0]]
            say(f"{self.named(pending)} waits in the queue since {int(now - self.pending_since)} s ({self.said})")

    def judge(self, finals, now):
        """Close the tasks that the scheduler has given up, once it is clear how they ended."""
        statuses = self.take_successes()
        for task, since in list(self.gone_since.items()):
            final, code = finals.get(self.job_of[task]), statuses.get(task)
            reason = final.reason if final else ""
            if code == job_command.REQUEUE_CODE and self.job.flag("requeue") and not self.backend.requeues:
                say(f"{self.named([task])} ended with exit code 99: submitted again")
                self.close(task)
                self.waiting.append((task, task))
            elif code is not None:
                self.close(task, f"{reason}, exit code {code}" if reason else f"exit code {code}")
            elif final and final.cut_off:
                self.close(task, reason)
            elif now - since >= self.status_seconds:
                self.close(task, self.lost(reason))
        waiting = [task for task in self.gone_since if task in self.job_of]
        if waiting and not any(statuses.get(task) for task in waiting):
            self.next_query = now + max(self.backend.query_seconds, 5)

    def lost(self, reason):
        """The reason of a task that is over and has not said how."""
        last_words = [line for line in job_command.tail(self.folder.scheduler_log) if not line.startswith("(no log")]
        return (
            f"{reason or 'lost: the scheduler does not know it any more'}, and {self.status_seconds} s later there "
            f"was no exit status in {self.folder.path}: does the node see this folder?"
            + (f" The scheduler's output ends: {last_words[-1]}" if last_words else "")
        )

    # Telling.

    def named(self, tasks):
        """Some open tasks, for a message."""
        job_id, index = self.job_of[tasks[0]]
        if len(tasks) > 1:
            return f"{len(tasks)} tasks of job {job_id}"
        return f"job {job_id}" + (f", task {tasks[0]}" if index else "")

    def note_silence(self, error):
        """The scheduler does not answer: say so, once."""
        if not self.silent_since:
            self.silent_since = time.time()
            said = str(error).splitlines()[-1] if str(error) else "no answer"
            say(f"{self.backend.title} does not answer ({said}); waiting for it")

    def note_answer(self):
        """The scheduler answers: say so if it did not before."""
        if self.silent_since:
            say(f"{self.backend.title} answers again after {int(time.time() - self.silent_since)} s")
            self.silent_since = 0.0

    def cancel(self):
        """Cancel what is in the queue and say what came of it."""
        job_ids = sorted({job_id for job_id, _ in self.job_of.values()}, key=str)
        shown = ", ".join(map(str, job_ids))
        deadline = time.time() + CANCEL_SECONDS
        while job_ids:
            try:
                self.backend.cancel(job_ids)
                return say(f"cancelled job {shown}")
            except (Unavailable, Refused) as error:
                if time.time() > deadline:
                    return say(f"could NOT cancel job {shown}: {error}")
                time.sleep(1)


def dry_run(watch):
    """Print the exact submit line and the script of each array."""
    for first, last in watch.ranges():
        words, text, _ = watch.submission(first, last)
        line = " ".join(shlex.quote(word) for word in watch.backend.line(words, watch.folder.script_path(first)))
        sys.stdout.write(f"# submit\n{line}\n# {watch.folder.script_path(first)}\n{text}")


def main(backend):
    """Run what the command line says on this back end."""
    job = job_command.parse_command_line(sys.argv[1:])
    backend.config = configuration.load(job.options.get("config", ""), backend.usual_config, backend.built_in_config)
    for name in {"requeue", "num-nodes", "num-threads", "status-seconds"} & set(backend.config.defaults):
        job.options.setdefault(name, backend.config.defaults[name])
    backend.prepare(job)
    watch = Watch(backend, job)
    if job.flag("dry-run"):
        return dry_run(watch)
    watch.folder.create()
    for number in job_process.SIGNALS:
        signal.signal(number, stop)
    try:
        failed = watch.run()
    except Stopped as stopped:
        number = stopped.args[0]
        say(f"stopped by signal {number}; cancelling")
        watch.cancel()
        watch.folder.remove(everything=False)
        sys.exit(128 + number)
    except Refused as error:
        watch.cancel()
        watch.folder.remove(everything=True)
        job_command.fail(f"{backend.title} does not take the job: {error}")
    watch.folder.remove(everything=not failed)
    if failed:
        job_command.report_failures(job, sorted(failed), failed)
        sys.exit(1)
