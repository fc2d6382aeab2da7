"""The command line of run.pl and its kin -> options, tasks, the shell command, and the log file of each task.

Shared by all back ends: each reads its arguments with parse_command_line(), turns a task into shell text with
Job.command(), and frames the output with open_log() and close_log(). The format is that of Kaldi's logs.
"""

import os
import re
import sys
import time

TAIL_LINES = 15  # of the first failing log, shown on the terminal
FLAGS = ("-V",)  # options without a value; everything else that starts with "-" takes one
VALUES = {"-pe": 2}  # "-pe smp 5" takes two
DRY_RUN = ("--dry_run", "--dry-run")  # a flag, or followed by true or false
REQUEUE_CODE = 99  # a command that ends with it wants to be started again; Grid Engine's number


def program():
    """The name of the back end, for messages."""
    return os.path.basename(sys.argv[0])


def fail(message):
    """End the program with one line on standard error and exit code 1."""
    sys.stderr.write(f"{program()}: {message}\n")
    sys.exit(1)


class Job:
    """One call: options {name: value}, the range of tasks, the log and the command with the task's name in them."""

    def __init__(self, options, passed, name, first, last, log, words):
        self.options = options  # {"mem": "4G", "num-threads": "2", ...}, without the dashes
        self.passed = passed  # ["-l", "arch=*64*", ...]: options with one dash, for the scheduler's own program
        self.name = name  # usually JOB; "" for a single task
        self.first = first
        self.last = last
        self.log_pattern = log
        self.shell_text = quote(words)

    def tasks(self):
        """Task numbers in order."""
        return range(self.first, self.last + 1)

    def substitute(self, text, task):
        """The text with the name of the range replaced by the number of the task."""
        return text.replace(self.name, str(task)) if self.name else text

    def command(self, task):
        """The shell text that runs one task."""
        return self.substitute(self.shell_text, task)

    def log(self, task):
        """The path of the log of one task."""
        return self.substitute(self.log_pattern, task)

    def number(self, option, default):
        """An option that counts something, as an integer."""
        value = self.options.get(option, str(default))
        if not value.isdigit():
            fail(f"option --{option} takes a number, got '{value}'")
        return int(value)

    def flag(self, option):
        """An option that is true or false; false where it is not given."""
        value = self.options.get(option, "false")
        if value not in ("true", "false"):
            fail(f"option --{option} takes true or false, got '{value}'")
        return value == "true"


def quote(words):
    """Words of a command -> shell text, as Kaldi does it.

    A word without white space passes bare, so that \\| > ; && and $variables act in the shell that runs the task;
    one with white space is put in double quotes, or in single quotes where it holds a double quote.

    >>> quote(["sort", "a b", "|", 'say "x y"'])
    'sort "a b" | \\'say "x y"\\''
    """
    quoted = []
    for word in words:
        if re.match(r"\S+\Z", word):
            quoted.append(word)
        elif '"' in word:
            quoted.append("'" + word.replace("'", "'\\''") + "'")
        else:
            quoted.append('"' + word + '"')
    return " ".join(quoted)


def read_options(words, options, passed):
    """Move the options at the start of words into the dictionary, those with one dash into the list.

    The smallest --max-jobs-run wins, as in Kaldi.
    """
    while words and words[0].startswith("-") and (len(words) >= 2 or words[0] in DRY_RUN):
        option = words.pop(0)
        if option in DRY_RUN:
            options["dry-run"] = words.pop(0) if words[:1] in (["true"], ["false"]) else "true"
            continue
        if option in FLAGS:
            passed.append(option)
            continue
        values = [words.pop(0) for _ in range(min(VALUES.get(option, 1), len(words)))]
        if values[0].startswith("--"):
            sys.stderr.write(f"{program()}: warning: option {option} has the value '{values[0]}'\n")
        if option in ("-tc", "--max-jobs-run", "--max_jobs_run"):
            if not values[0].isdigit() or int(values[0]) < 1:
                fail(f"option {option} takes a number above 0, got '{values[0]}'")
            options["max-jobs-run"] = str(min(int(values[0]), int(options.get("max-jobs-run", values[0]))))
        elif option.startswith("--"):
            options[option[2:].replace("_", "-")] = values[0]
        else:
            passed += [option, *values]


def parse_command_line(words):
    """[options] [JOB=1:n] [options] log command... -> Job."""
    usage = f"usage: {program()} [options] [JOB=1:n] <log-file> <command> <argument>..."
    words, options, passed, name, first, last = list(words), {}, [], "", 1, 1
    read_options(words, options, passed)
    task_range = re.match(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?\Z", words[0]) if words else None
    if task_range:
        name, first = task_range.group(1), int(task_range.group(2))
        last = int(task_range.group(3) or first)
        if not 1 <= first <= last:
            fail(f"bad range of tasks '{words[0]}': it must start at 1 or above and not run backwards")
        words.pop(0)
        read_options(words, options, passed)
    if len(words) < 2:
        fail(usage)
    if re.match(r"[A-Za-z_]\w*=.*:", words[0]):
        sys.stderr.write(f"{program()}: warning: is the log file '{words[0]}' a range of tasks?\n")
    if last > first and name not in words[0]:
        fail(f"the tasks {name}={first}:{last} would all write the one log {words[0]}: put {name} into its name")
    return Job(options, passed, name, first, last, words[0], words[1:])


def now():
    """The time as `date` prints it in the C locale."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")


def open_log(path, shell_text, again=False):
    """Start the log of a task: command, host and time. Returns a file descriptor that appends.

    again: the task was started before, so that what its log says stays."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if again else os.O_TRUNC), 0o666)
    except OSError as error:
        fail(f"cannot write the log {path}: {error.strerror}")
    header = f"# {shell_text}\n# Running on {os.uname().nodename}\n# Started at {now()}\n#\n"
    os.write(log, os.fsencode(header))
    return log


def close_log(log, code, signal, seconds, threads):
    """End the log of a task: accounting, exit code (and signal), time and elapsed whole seconds."""
    state = f"code {code}" + (f"; signal {signal}" if signal else "")
    os.write(log, b"# Accounting: time=%d threads=%d\n" % (seconds, threads))
    os.write(log, f"# Ended ({state}) at {now()}, elapsed time {int(seconds)} seconds\n".encode())
    os.close(log)


def tail(path):
    """The last lines of a log; one that says so where there is no log."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.path.getsize(path) - 65536))
            return stream.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
    except OSError as error:
        return [f"(no log {path}: {error.strerror})"]


def report_failures(job, failed, reasons=None):
    """Say how many tasks failed, why the first did ({task: reason}), where its log is and what it says at its end."""
    total, first_log = job.last - job.first + 1, job.log(failed[0])
    reason = (reasons or {}).get(failed[0], "")
    because = f" ({reason})" if reason else ""
    if total == 1:
        lines = [f"job failed{because}, log is in {first_log}"]
    else:
        lines = [f"{len(failed)} / {total} failed, log is in {job.substitute(job.log_pattern, '*')}"]
        lines.append(f"first failure: task {failed[0]}{because}, {first_log}")
    sys.stderr.write("".join(f"{program()}: {line}\n" for line in lines))
    sys.stderr.write("".join(f"    {line}\n" for line in tail(first_log)))
