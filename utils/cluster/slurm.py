"""Slurm: sbatch, squeue and scancel. Written for and tested with Slurm 22.05."""

import itertools
import os
import re

from .backend import Backend, Entry, Final, Refused, Unavailable, call, task_numbers

# States of man squeue, "JOB STATE CODES", in which a job ended otherwise than by its script.
REASONS = {
    "BOOT_FAIL": "the node did not boot",
    "CANCELLED": "cancelled",
    "DEADLINE": "ended at its deadline",
    "NODE_FAIL": "the node failed",
    "OUT_OF_MEMORY": "out of memory: ask for more with --mem",
    "PREEMPTED": "preempted",
    "REVOKED": "revoked",
    "TIMEOUT": "reached its time limit: ask for more with --time",
}
NEVER_RUNS = (
    "launch_failed_requeued_held", "launch failed requeued held", "BadConstraints", "DependencyNeverSatisfied",
)  # fmt: skip
FORMAT = "%F|%K|%T|%r|%N"  # array job id | index | state | reason | nodes


class Slurm(Backend):
    name, title = "slurm", "Slurm"
    usual_config = "conf/slurm.conf"
    built_in_config = """
        command sbatch
        option time=* --time $0
        option mem=* --mem-per-cpu $0
        option mem=0
        option num_threads=* --cpus-per-task $0
        option num_threads=1
        option num_nodes=* --nodes $0 --ntasks-per-node 1
        option gpu=* --gres=gpu:$0
        option gpu=0
        option requeue=true --requeue --signal=B:USR1@90
        option requeue=false --no-requeue
        option partition=* --partition $0
        option account=* --account $0
        option qos=* --qos $0
        option constraint=* --constraint $0
        option exclude=* --exclude $0
    """
    index = "${SLURM_ARRAY_TASK_ID}"
    asking_order = 10
    variables = ("SLURM", "SBATCH", "SRUN", "PMI")
    hosts_variables = ("SLURM_JOB_NODELIST",)
    job_variables = ("SLURM_JOB_ID",)
    rank_variables = ("SLURM_NODEID",)
    cores_variables = ("SLURM_CPUS_ON_NODE",)
    restarts_variables = ("SLURM_RESTART_COUNT",)
    passes_sigterm = False  # srun would end the tasks, which Slurm itself sends SIGTERM, before they have saved
    usual_array_limit = 1000  # MaxArraySize is 1001 by default, and one more than the highest number
    unavailable = (r"unable to contact|socket timed out|connection refused|communication.*(failure|error)|"
                   r"unexpected message|zero bytes|backup controller|connection timed out|i/o error|"
                   r"temporarily unable|slurmctld.*not respond|protocol authentication|munge")  # fmt: skip

    def array_limit(self):
        try:
            _, output, _ = call(["scontrol", "show", "config"], self.unavailable)
        except (Refused, Unavailable):
            return self.usual_array_limit
        limit = re.search(r"^MaxArraySize\s*=\s*(\d+)", output, re.MULTILINE)
        return int(limit.group(1)) - 1 if limit and int(limit.group(1)) > 1 else self.usual_array_limit

    def submit_words(self, words, name, array, output):
        words = [*words, "--parsable", f"--job-name={name}", f"--output={output}", "--open-mode=append"]
        if array:
            first, last, limit = array
            words.append(f"--array={first}-{last}" + (f"%{limit}" if limit else ""))
        return words

    def submit_environment(self):
        # Inside another job its SLURM_ variables would pass into this one.
        kept = ("SLURM_CONF", "SLURM_CLUSTERS")
        return {k: v for k, v in os.environ.items() if not k.startswith("SLURM_") or k in kept}

    def read_job_id(self, output):
        match = re.match(r"(\d+)(?:;\S+)?\s*\Z", output.strip().split("\n")[-1])
        return match.group(1) if match else None

    def submitted(self, script):
        _, output, _ = self.squeue("-h", f"--user={os.getuid()}", "-o", "%F|%o")
        return next((line.split("|")[0] for line in output.splitlines() if line.endswith(f"|{script}")), None)

    def squeue(self, *words):
        """Ask squeue; the numbers of waiting array tasks are not cut short."""
        return call(["squeue", *words], self.unavailable, env=dict(os.environ, SLURM_BITSTR_LEN="0"))

    def ask(self, job_ids):
        # By user and not by job: squeue fails when the only job it is asked for has been forgotten.
        code, output, errors = self.squeue("-h", f"--user={os.getuid()}", "-o", FORMAT)
        if code:
            raise Unavailable(errors.strip())
        entries = []
        for job_id, indices, state, reason, _ in parsed(output):
            if job_id in job_ids:
                pending = state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")
                kind = "error" if pending and reason in NEVER_RUNS else "pending" if pending else "running"
                entries.append(Entry(job_id, indices, kind, reason))
        return entries

    def explain(self, job_ids, tasks):
        finals = {}
        for job_id in sorted({job_id for job_id, _ in tasks}):
            code, output, _ = self.squeue("-h", "-t", "all", "-j", job_id, "-o", FORMAT)
            for number, indices, state, reason, nodes in parsed(output) if code == 0 else []:
                finals.update({(number, index): final(state, reason, nodes) for index in indices})
            if code:
                finals.update(self.accounted(job_id))
        return finals

    def accounted(self, job_id):
        """What accounting says of a job that the controller has forgotten; nothing where there is no accounting."""
        words = ["sacct", "-n", "-X", "-P", "-j", job_id, "-o", "JobID,State,NodeList"]
        try:
            code, output, _ = call(words, self.unavailable)
        except (Refused, Unavailable):
            return {}
        finals = {}
        for line in output.splitlines() if code == 0 else []:
            name, state, nodes = [*line.split("|"), "", ""][:3]
            _, _, indices = name.partition("_")
            for index in task_numbers(indices.strip("[]")) or [0]:
                finals[job_id, index] = final(state.split(" ")[0], "", nodes)
        return finals

    def cancel(self, job_ids, tasks=()):
        words = [*job_ids, *(f"{job_id}_{index}" if index else job_id for job_id, index in tasks)]
        code, _, errors = call(["scancel", *words], self.unavailable)
        if code and "already completed" not in errors and "Invalid job id" not in errors:
            raise Unavailable(errors.strip() or f"scancel ended with exit code {code}")

    # On a node.

    def listed_hosts(self, variable, value):
        return expand_nodelist(value)

    def hosts(self, job):
        _, output, _ = call(["scontrol", "show", "hostnames", os.environ.get("SLURM_JOB_NODELIST", "")])
        return output.split() or [os.environ.get("SLURMD_NODENAME") or os.uname().nodename]

    def job_variable(self):
        return os.environ.get("SLURM_JOB_ID", "")

    def restarts(self):
        return int(os.environ.get("SLURM_RESTART_COUNT") or 0)

    def node_commands(self, hosts, words, job):
        count = len(hosts)
        start = ["srun", f"--nodes={count}", f"--ntasks={count}", "--ntasks-per-node=1", "--kill-on-bad-exit=0",
                 "--wait=0", "--export=ALL", "--input=none"]  # fmt: skip
        if os.environ.get("SLURM_CPUS_PER_TASK"):  # since 22.05 srun does not take it from the job
            start.append(f"--cpus-per-task={os.environ['SLURM_CPUS_PER_TASK']}")
        return [[*start, *words, "-"]]

    def rank(self):
        return int(os.environ.get("SLURM_PROCID") or 0)

    def requeue(self):
        job = os.environ.get("SLURM_JOB_ID", "")  # of this task, not of its array
        code, output, errors = call(["scontrol", "requeue", job])
        if code == 0:
            return 0
        print(f"# scontrol requeue {job}: {(errors or output).strip()}", flush=True)
        return 99


def expand_nodelist(text):
    """Slurm's short form of a list of hosts, written out: "gpu[08-10,12],r[1-2]n[1-2]" -> gpu08, gpu09, gpu10, gpu12,
    r1n1, r1n2, r2n1, r2n2."""
    hosts = []
    for pattern in re.findall(r"(?:[^,\[\]]|\[[^\]]*\])+", text):
        parts = re.split(r"\[([^\]]*)\]", pattern)  # text, ranges, text, ranges, ...
        choices = [list(numbers_in(part)) if position % 2 else [part] for position, part in enumerate(parts)]
        hosts += ["".join(words) for words in itertools.product(*choices)]
    return hosts


def numbers_in(ranges):
    """ "08-10,12" -> 08, 09, 10, 12."""
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{number:0{len(first)}d}"


def parsed(output):
    """Lines in FORMAT -> (job id, indices, state, reason, nodes)."""
    for line in output.splitlines():
        fields = line.split("|")
        if len(fields) == 5:
            job_id, indices, state, reason, nodes = fields
            yield job_id, task_numbers(indices) or [0], state, reason, nodes


def final(state, reason, nodes):
    """A state of Slurm -> Final. A reason such as RaisedSignal:9(Killed) says that the script was killed."""
    where = f" on {nodes}" if nodes and state in ("NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL") else ""
    if state in REASONS:
        return Final(f"{REASONS[state]} ({state}){where}", cut_off=True)
    if "RaisedSignal" in reason:
        return Final(f"its script was killed ({state}, {reason})", cut_off=True)
    plain = state in ("COMPLETED", "FAILED", "COMPLETING", "RUNNING", "PENDING")
    return Final("" if plain and reason in ("None", "NonZeroExitCode", "") else f"{state}, {reason}", cut_off=False)
