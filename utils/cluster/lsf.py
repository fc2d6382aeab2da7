"""LSF: bsub, bjobs and bkill. Written from the manual of version 10.1; tested on output in its format, never on a
cluster."""

import os
import re

from .backend import Backend, Entry, Final, Refused, Unavailable, call

# TERM_ reasons of bjobs -o exit_reason and bhist (LSF 10.1, "Job termination reasons").
REASONS = {
    "TERM_OWNER": "killed by its owner", "TERM_ADMIN": "killed by an administrator",
    "TERM_FORCE_OWNER": "killed by its owner", "TERM_FORCE_ADMIN": "killed by an administrator",
    "TERM_MEMLIMIT": "out of memory: ask for more with --mem", "TERM_SWAP": "out of swap space",
    "TERM_RUNLIMIT": "reached its time limit: ask for more with --time", "TERM_CPULIMIT": "over its processor time",
    "TERM_PREEMPT": "preempted", "TERM_DEADLINE": "ended at its deadline", "TERM_LOAD": "its host had too much load",
    "TERM_ZOMBIE": "lost: its host is not reachable", "TERM_REMOVE_HUNG_JOB": "removed: its host is not reachable",
    "TERM_PROCESSLIMIT": "over its limit of processes", "TERM_THREADLIMIT": "over its limit of threads",
}  # fmt: skip
PENDING, RUNNING = ("PEND", "PSUSP", "WAIT", "FWD_PEND"), ("RUN", "USUSP", "SSUSP", "PROV", "UNKWN")
ASKED = "jobid jobindex stat exit_code exit_reason pend_reason delimiter='|'"


class Lsf(Backend):
    name, title = "lsf", "LSF"
    usual_config = "conf/lsf.conf"
    built_in_config = """
        command bsub
        option time=* -W $0
        option mem=* -R "rusage[mem=$0]"
        option mem=0
        option num_threads=* -n $0 -R "span[hosts=1]"
        option num_threads=1
        option num_nodes=* -n $0 -R "span[ptile=1]"
        option gpu=* -gpu "num=$0"
        option gpu=0
        option requeue=true -r -Q 99 -wa USR1 -wt 2
        option requeue=false -rn
        option queue=* -q $0
        option project=* -P $0
    """
    index = "${LSB_JOBINDEX}"
    asking_order = 40
    variables = ("LSB_", "LSF_", "LS_")
    hosts_variables = ("LSB_DJOB_HOSTFILE", "LSB_MCPU_HOSTS")
    job_variables = ("LSB_JOBID",)
    usual_array_limit = 1000  # MAX_JOB_ARRAY_SIZE of a new cluster
    left_out_with_nodes = ("num-threads",)
    unavailable = (r"lsf is down|cannot connect|connection refused|please wait|not respond|communication time|"
                   r"lim is down|batch (daemon|system).*(not|down)|timed out|failed in.*(connect|rpc)")  # fmt: skip

    def array_limit(self):
        try:
            _, output, _ = call(["bparams", "-a"], self.unavailable)
        except (Refused, Unavailable):
            return self.usual_array_limit
        limit = re.search(r"MAX_JOB_ARRAY_SIZE\s*=\s*(\d+)", output)
        return int(limit.group(1)) if limit else self.usual_array_limit

    def submit_words(self, words, name, array, output):
        name = re.sub(r"[^\w.-]", "_", name)
        if array:
            first, last, limit = array
            name += f"[{first}-{last}]" + (f"%{limit}" if limit else "")
        return [*words, "-J", name, "-o", output]

    def read_job_id(self, output):
        match = re.search(r"Job <(\d+)> is submitted", output)
        return match.group(1) if match else None

    def jobs(self, *words):
        """Lines of bjobs -> (job id, index, state, exit code, reason of the end, reason of waiting)."""
        code, output, errors = call(["bjobs", "-noheader", "-o", ASKED, *words], self.unavailable)
        if code and not re.search(r"not found|no (unfinished|matching)? ?job", errors + output, re.IGNORECASE):
            raise Unavailable((errors or output).strip())
        lines = [line.split("|") for line in output.splitlines()]
        return [fields[:6] for fields in lines if len(fields) >= 6]

    def ask(self, job_ids):
        entries = []
        for job_id, index, state, _, _, waits in self.jobs(*job_ids):
            if job_id in job_ids and state in PENDING + RUNNING:
                kind = "pending" if state in PENDING else "running"
                detail = f"{state}: {waits}" if waits not in ("-", "") else state
                entries.append(Entry(job_id, [int(index) if index.isdigit() else 0], kind, detail))
        return entries

    def explain(self, job_ids, tasks):
        asked_ids = sorted({job_id for job_id, _ in tasks})
        return {
            (job_id, int(index) if index.isdigit() else 0): final(state, code, reason)
            for job_id, index, state, code, reason, _ in self.jobs("-a", *asked_ids)
            if state in ("DONE", "EXIT", "ZOMBI")
        }

    def cancel(self, job_ids, tasks=()):
        words = ["bkill", *job_ids, *(f"{job_id}[{index}]" if index else job_id for job_id, index in tasks)]
        code, output, errors = call(words, self.unavailable)
        if code and not re.search(r"finished|no matching|not found", errors + output, re.IGNORECASE):
            raise Refused((errors or output).strip())

    # On a node.

    def listed_hosts(self, variable, value):
        # "h1 1 h2 1": hosts and slots.
        return value.split()[::2] if variable == "LSB_MCPU_HOSTS" else super().listed_hosts(variable, value)

    def hosts(self, job):
        words = self.listed_hosts("LSB_MCPU_HOSTS", os.environ.get("LSB_MCPU_HOSTS", ""))
        return words or [os.uname().nodename]

    def job_variable(self):
        index = os.environ.get("LSB_JOBINDEX", "0")
        return os.environ.get("LSB_JOBID", "") + (f"t{index}" if index != "0" else "")

    def node_commands(self, hosts, words, job):
        return [["blaunch", "-no-shell", host, *words, str(rank)] for rank, host in enumerate(hosts)]


def final(state, code, reason):
    """State, exit code and exit reason of bjobs -> Final."""
    if state == "ZOMBI":
        return Final("lost: its host is not reachable (ZOMBI)", cut_off=True)
    for name, words in REASONS.items():
        if reason.startswith(name):
            return Final(f"{words} ({reason.strip()})", cut_off=True)
    if code.isdigit() and int(code) > 128:
        return Final(f"ended by signal {int(code) - 128} ({state}, exit code {code})", cut_off=True)
    return Final("" if reason in ("-", "") else reason.strip(), cut_off=False)
