"""PBS (OpenPBS, PBS Professional; Torque with three lines in the configuration): qsub, qstat and qdel.

Written from the manuals (PBS Professional 2022.1 reference guide); tested on output in their format, never on a server.
"""

import os
import re

from .backend import Backend, Entry, Final, Refused, Unavailable, call

# Exit_status below 0: codes of the server or MoM (PBS Professional administrator's guide, "Job Exit Status Codes").
EXIT_STATUS = {
    -24: "over its limit of processors", -25: "over its limit of processors", -26: "over its limit of virtual memory",
    -27: "over its limit of memory: ask for more with --mem", -28: "over its limit of processor time",
    -29: "reached its time limit: ask for more with --time",
}  # fmt: skip
PENDING, RUNNING = "QHWTM", "RSUBE"  # states of a job or a task of an array; X and F are over
FIELD = r"^\s*(Exit_status|job_state|comment|exit_status) = (.*(?:\n\t.*)*)"  # a long value goes on after a tab
FINISHED = r"unknown job|has finished|job.*not found"


class Pbs(Backend):
    name, title = "pbs", "PBS"
    usual_config = "conf/pbs.conf"
    built_in_config = """
        command qsub
        option array=* -J $0
        option time=* -l walltime=$0
        option mem=* -l mem=$0
        option mem=0
        option num_threads=* -l ncpus=$0
        option num_threads=1
        option num_nodes=* -l place=scatter
        option gpu=* -l ngpus=$0
        option gpu=0
        option requeue=true -r y
        option requeue=false -r n
        option queue=* -q $0
        option project=* -P $0
    """
    index = "${PBS_ARRAY_INDEX:-${PBS_ARRAYID}}"  # the second in Torque
    asking_order = 30
    variables = ("PBS_",)
    hosts_variables = ("PBS_NODEFILE",)
    job_variables = ("PBS_JOBID",)
    requeues = False  # qrerun is for managers only
    node_output = "log"  # pbsdsh sends output to the spool of the job, not to us
    usual_array_limit = 10000  # max_array_size of a new server
    left_out_with_nodes = ("num-nodes", "num-threads", "mem", "gpu")  # they go into one select line
    unavailable = (r"cannot connect to|connection (refused|reset|timed out)|end of file|no permission to connect|"
                   r"communication|could not connect|timeout|server.*(down|shutting)")  # fmt: skip

    def prepare(self, job):
        """A chunk of each node holds what the options say for one node."""
        nodes = job.number("num-nodes", 1)
        chunk = {"ncpus": job.options.get("num-threads", "1"), "mem": job.options.get("mem", "0"),
                 "ngpus": job.options.get("gpu", "0")}  # fmt: skip
        select = ":".join([str(nodes), *(f"{key}={value}" for key, value in chunk.items() if value != "0")])
        self.nodes_words = []
        if nodes > 1:
            self.nodes_words = ["-l", f"select={select}", *self.config.words_of("num-nodes", str(nodes))]

    def submit_words(self, words, name, array, output):
        name = re.sub(r"[^\w.+-]", "_", name)[:15]  # the length that every version takes
        name = name if name[:1].isalpha() else f"j{name}"[:15]
        words = [*words, *self.nodes_words, "-N", name, "-j", "oe", "-o", os.path.dirname(output) + "/"]
        if array:
            first, last, limit = array
            words += self.config.words_of("array", f"{first}-{last}" + (f"%{limit}" if limit else ""))
        return words

    def read_job_id(self, output):
        match = re.search(r"^(\d+)(\[\])?(\.\S+)?\s*\Z", output.strip().split("\n")[-1])
        return "".join(part or "" for part in match.groups()) if match else None

    def ask(self, job_ids):
        entries = []
        by_number = {job_id.split("[")[0].split(".")[0]: job_id for job_id in job_ids}
        code, output, errors = call(["qstat", "-t", *job_ids], self.unavailable)
        if code and not re.search(FINISHED, errors, re.IGNORECASE):
            raise Unavailable((errors or output).strip())
        for line in output.splitlines():
            row = re.match(r"(\d+)(?:\[(\d*)\])?\S*\s.*\s([A-Z])\s+\S+\s*\Z", line)
            if row and row.group(1) in by_number and row.group(2) != "" and row.group(3) in PENDING + RUNNING:
                state = "pending" if row.group(3) in PENDING else "running"
                index = int(row.group(2) or 0)
                entries.append(Entry(by_number[row.group(1)], [index], state, f"state {row.group(3)}"))
        return entries

    def explain(self, job_ids, tasks):
        finals = {}
        for job_id, index in tasks[:50]:  # one question each; the next round takes the next
            _, output, _ = call(["qstat", "-x", "-f", self.task_id(job_id, index)], self.unavailable)
            fields = dict(re.findall(FIELD, output, re.MULTILINE))
            if fields:
                finals[job_id, index] = final({name.lower(): " ".join(v.split()) for name, v in fields.items()})
        return finals

    def task_id(self, job_id, index):
        """What qstat and qdel call a task of an array."""
        return job_id.replace("[]", f"[{index}]") if index else job_id

    def cancel(self, job_ids, tasks=()):
        words = ["qdel", *job_ids, *(self.task_id(job_id, index) for job_id, index in tasks)]
        code, output, errors = call(words, self.unavailable)
        if code and not re.search(FINISHED, errors, re.IGNORECASE):
            raise Refused((errors or output).strip())

    # On a node.

    def hosts(self, job):
        path = os.environ.get("PBS_NODEFILE", "")
        if not os.path.isfile(path):
            return [os.uname().nodename]
        with open(path, encoding="utf-8") as stream:
            return list(dict.fromkeys(line.strip() for line in stream if line.strip()))

    def job_variable(self):
        return re.sub(r"\W", "", os.environ.get("PBS_JOBID", "").split(".")[0].replace("[", "t"))

    def node_commands(self, hosts, words, job):
        # pbsdsh -n counts the lines of the node file, of which a node may have several.
        with open(os.environ["PBS_NODEFILE"], encoding="utf-8") as stream:
            lines = [line.strip() for line in stream if line.strip()]
        here = [*words, "0"]  # the first node is where the script runs
        return [here] + [["pbsdsh", "-n", str(lines.index(host)), "--", *words, str(rank)]
                         for rank, host in enumerate(hosts) if rank]  # fmt: skip


def final(fields):
    """job_state, exit_status and comment of qstat -x -f -> Final."""
    if "exit_status" not in fields:
        over = fields.get("job_state", "") in ("F", "X")
        return Final(f"ended without running: {fields.get('comment', 'deleted?')}" if over else "", cut_off=over)
    status, comment = int(fields["exit_status"]), fields.get("comment", "")
    if status < 0:
        said = EXIT_STATUS.get(status, "the server ended it")
        return Final(f"{said} (Exit_status {status}{': ' if comment else ''}{comment})", cut_off=True)
    if status >= 128:  # 256 and the signal, or 128 and the signal
        number = status - (256 if status > 256 else 128)
        said = f"ended by signal {number}: deleted with qdel, or over a limit (Exit_status {status})"
        return Final(said, cut_off=True)
    return Final("", cut_off=False)
