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


def program():
    """The name of the back end, for messages."""
    return os.path.basename(sys.argv[0])


def fail(message):
    """End the program with one line on standard error and exit code 1."""
    sys.stderr.write(f"{program()}: {message}\n")
    sys.exit(1)


class Job:
    """One call: options {name: value}, the range of tasks, the log and the command with the task's name in them."""

    def __init__(self, options, name, first, last, log, words):
        self.options = options  # {"mem": "4G", "num-threads": "2", ...}, without the dashes
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


def read_options(words, options):
    """Move the options at the start of words into the dictionary. The smallest --max-jobs-run wins, as in Kaldi."""
    while len(words) >= 2 and words[0].startswith("-"):
        option = words.pop(0)
        if option in FLAGS:
            continue
        value = " ".join(words.pop(0) for _ in range(min(VALUES.get(option, 1), len(words))))
        name = "max-jobs-run" if option == "-tc" else option.lstrip("-").replace("_", "-")
        if value.startswith("--"):
            sys.stderr.write(f"{program()}: warning: option {option} has the value '{value}'\n")
        if name == "max-jobs-run":
            if not value.isdigit() or int(value) < 1:
                fail(f"option {option} takes a number above 0, got '{value}'")
            value = str(min(int(value), int(options.get(name, value))))
        options[name] = value


def parse_command_line(words):
    """[options] [JOB=1:n] [options] log command... -> Job."""
    usage = f"usage: {program()} [options] [JOB=1:n] <log-file> <command> <argument>..."
    words, options, name, first, last = list(words), {}, "", 1, 1
    read_options(words, options)
    found = re.match(r"([A-Za-z_]\w*)=(\d+)(?::(\d+))?\Z", words[0]) if words else None
    if found:
        name, first = found.group(1), int(found.group(2))
        last = int(found.group(3) or first)
        if not 1 <= first <= last:
            fail(f"bad range of tasks '{words[0]}': it must start at 1 or above and not run backwards")
        words.pop(0)
        read_options(words, options)
    if len(words) < 2:
        fail(usage)
    if re.match(r"[A-Za-z_]\w*=.*:", words[0]):
        sys.stderr.write(f"{program()}: warning: is the log file '{words[0]}' a range of tasks?\n")
    if last > first and name not in words[0]:
        fail(f"the tasks {name}={first}:{last} would all write the one log {words[0]}: put {name} into its name")
    return Job(options, name, first, last, words[0], words[1:])


def now():
    """The time as `date` prints it in the C locale."""
    return time.strftime("%a %b %e %H:%M:%S %Z %Y")


def open_log(path, shell_text):
    """Start the log of a task: command, host and time. Returns a file descriptor that appends."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
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


def report_failures(job, failed):
    """Say how many tasks failed, where the logs are, and what the first failing log says at its end."""
    total = job.last - job.first + 1
    first_log = job.log(failed[0])
    if total == 1:
        lines = [f"job failed, log is in {first_log}"]
    else:
        lines = [f"{len(failed)} / {total} failed, log is in {job.substitute(job.log_pattern, '*')}"]
        lines.append(f"first failure: task {failed[0]}, {first_log}")
    with open(first_log, "rb") as stream:
        stream.seek(max(0, os.path.getsize(first_log) - 65536))
        tail = stream.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:]
    sys.stderr.write("".join(f"{program()}: {line}\n" for line in lines))
    sys.stderr.write("".join(f"    {line}\n" for line in tail))
