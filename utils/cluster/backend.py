"""What a back end must know: how to submit, to ask and to cancel; on a node who takes part and how to start there."""

import os
import re
import subprocess

SECONDS_FOR_AN_ANSWER = 60  # a program of the scheduler that takes longer counts as "does not answer"


class Unavailable(Exception):
    """The scheduler gave no answer; the only argument is what its program said."""


class Refused(Exception):
    """The scheduler does not take the job; the only argument is what its program said."""


class Entry:
    """What the scheduler says of some tasks of a submission: indices (in the array; 0 for a job that is no array),
    state ("pending", "running" or "error": it never will run) and detail, the scheduler's own word for why."""

    def __init__(self, job_id, indices, state, detail=""):
        self.job_id, self.indices, self.state, self.detail = job_id, indices, state, detail


class Final:
    """How a task ended, by the scheduler: reason ("" where it ended by itself), and whether its script was cut off,
    so that no exit status will come."""

    def __init__(self, reason, cut_off):
        self.reason, self.cut_off = reason, cut_off


def call(words, unavailable=None, **options):
    """Run a program of the scheduler. Returns (exit code, output, errors); raises Unavailable where it is not there,
    hangs, or fails with a message that matches the pattern."""
    try:
        result = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                timeout=SECONDS_FOR_AN_ANSWER, **options)  # fmt: skip
    except FileNotFoundError:
        raise Refused(f"{words[0]} is not on PATH: is this a submit host?") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{words[0]} gave no answer in {SECONDS_FOR_AN_ANSWER} s") from None
    output, errors = (text.decode("utf-8", "replace") for text in (result.stdout, result.stderr))
    if result.returncode and unavailable and re.search(unavailable, errors + output, re.IGNORECASE):
        raise Unavailable(errors.strip() or output.strip())
    return result.returncode, output, errors


def task_numbers(text):
    """The task numbers of "3", "1-4,7", "1-9:2" or "5-100%7", in order.

    >>> task_numbers("1-3,7%2"), task_numbers("1-9:4")
    ([1, 2, 3, 7], [1, 5, 9])
    """
    numbers = []
    for part in text.split("%")[0].split(","):
        match = re.match(r"\s*(\d+)(?:-(\d+)(?::(\d+))?)?\s*\Z", part)
        if match:
            first, last, step = (int(group or 0) for group in match.groups())
            numbers += range(first, (last or first) + 1, step or 1)
    return numbers


class Backend:
    """A scheduler. The methods here suit most; each module says what differs."""

    name = ""  # as in cmd_backend
    title = ""  # in messages
    usual_config = ""  # read without --config where it exists
    built_in_config = ""
    index = ""  # how a script sees the number of its task in the array
    requeues = True  # exit code 99 makes the scheduler start the task again; else the back end submits it again
    others_serve = True  # a question goes to a server that serves others too, and must be rare
    query_seconds = 2  # at least, between two questions
    unavailable = None  # pattern of messages that mean: ask again later
    usual_array_limit = 1000  # where the scheduler does not tell
    left_out_with_nodes = ()  # options that the line for num_nodes says already
    passes_sigterm = True  # by the program that starts further nodes, to what it has started
    node_output = "stream"  # the output of further nodes comes through the program that starts them; or "log"

    # What it puts into the environment of a job. The wrapper of tasks, train.sh and espnet2/utils/schedulers.py ask.
    asking_order = 100  # the smallest is asked first, where a job of one started a job of another
    variables = ()  # how the names of its variables begin: they are of the node, never of the submitter
    whole_variables = ()  # whole names of further ones
    hosts_variables = ()  # the hosts of a job over several nodes: the first that is set counts
    job_variables = ()  # the id of the job
    rank_variables = ()  # the number of this node, from 0; empty: its place in the list of hosts
    cores_variables = ()  # cores of this node that the job may use, where it need not be bound to them
    restarts_variables = ()  # how often the job was started before; "0" or nothing: it was not

    def __init__(self):
        self.config = None

    def prepare(self, job):
        """Look at the options before anything is written."""

    def remote_words(self):
        """The program that reaches another host, for the tasks of several nodes (ssh only)."""
        return []

    def array_limit(self):
        """The highest number that a task of an array may have."""
        return self.usual_array_limit

    def submit_words(self, words, name, array, output):
        """The submit line without the script: words of the configuration; array "" or (first, last, limit or 0)."""
        raise NotImplementedError

    def submit(self, words, script):
        """Submit a script. Returns the id of the job; raises Unavailable or Refused."""
        code, output, errors = call(self.line(words, script), self.unavailable, env=self.submit_environment())
        job_id = self.read_job_id(output)
        if job_id is None:
            raise Refused((errors + output).strip() or f"{words[0]} ended with exit code {code} and said nothing")
        return job_id

    def submitted(self, script):
        """The id of the job that runs a script, where a submission that was not answered went through; else None."""
        return None

    def submit_environment(self):
        """The variables that the submit program sees."""
        return dict(os.environ)

    def line(self, words, script):
        """The submit line, script included, as --dry_run shows it."""
        return [*words, script]

    def read_job_id(self, output):
        """The id in what the submit program printed, or None."""
        raise NotImplementedError

    def ask(self, job_ids):
        """The tasks that have not ended -> list of Entry. Raises Unavailable."""
        raise NotImplementedError

    def explain(self, job_ids, tasks):
        """{(job id, index): Final} as far as the scheduler remembers; tasks are the (job id, index) of interest."""
        return {}

    def cancel(self, job_ids, tasks=()):
        """Cancel whole jobs, or some tasks (job id, index) of them. Raises Unavailable."""
        raise NotImplementedError

    # On a node, inside a job.

    def listed_hosts(self, variable, value):
        """The hosts that one of hosts_variables names, each once: usually a file with a host at the start of a line.
        Raises OSError where that file cannot be read here."""
        with open(value, encoding="utf-8") as stream:
            return list(dict.fromkeys(line.split()[0] for line in stream if line.strip()))

    def hosts(self, job):
        """The nodes of this job, one name each, in the scheduler's order; job is what job.json says."""
        return [os.uname().nodename]

    def job_variable(self):
        """The id of this job, in letters and digits."""
        return ""

    def restarts(self):
        """How often the scheduler started this job before, or None where it does not say."""
        return None

    def node_commands(self, hosts, words, job):
        """The command lines that together start `words <rank>` on every host."""
        raise NotImplementedError

    def requeue(self):
        """Ask the scheduler to start this job again. Returns the exit code to end with."""
        return 99

    def rank(self):
        """The number of this node where node_commands() could not say it."""
        return 0
