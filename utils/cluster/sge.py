"""Grid Engine (Son of, Open, Univa, Altair): qsub, qstat and qdel. Tested with 8.1.9."""

import os
import pwd
import re

from .backend import Backend, Entry, Final, Refused, Unavailable, call, task_numbers

# "failed" of man accounting(5) for jobs whose script was cut off; the rest is about setting it up.
FAILED = {
    "37": "reached a limit of its queue or its request (h_rt, h_vmem or the like): ask for more with --time or --mem",
    "100": "its script was killed: deleted with qdel, or over a limit of memory or time",
}


class GridEngine(Backend):
    name, title = "sge", "Grid Engine"
    usual_config = "conf/queue.conf"
    built_in_config = """
        command qsub -v PATH -cwd -S /bin/bash -j y
        option time=* -l h_rt=$0
        option mem=* -l mem_free=$0
        option mem=0
        option num_threads=* -pe smp $0
        option num_threads=1
        option num_nodes=* -pe nodes $0
        option gpu=* -l gpu=$0
        option gpu=0
        option requeue=true -r y -notify
        option requeue=false -r n
        option queue=* -q $0
        option project=* -P $0
    """
    index = "${SGE_TASK_ID}"
    asking_order = 20
    variables = ("SGE_", "JOB_", "TASK_ID", "NSLOTS", "NHOSTS", "NQUEUES", "PE_")
    whole_variables = ("PE", "QUEUE", "REQUEST", "RESTARTED", "ARC", "ENVIRONMENT")
    hosts_variables = ("PE_HOSTFILE",)
    job_variables = ("JOB_ID",)
    restarts_variables = ("RESTARTED",)  # 0 or 1
    usual_array_limit = 75000  # max_aj_tasks of a new cell
    left_out_with_nodes = ("num-threads",)  # one parallel environment per job; it decides on the slots of a node
    unavailable = (r"unable to (contact|send message|connect)|commlib error|got (send|read) (timeout|error)|"
                   r"can't connect|connection refused|no response|qmaster.*(not running|down)")  # fmt: skip

    def array_limit(self):
        try:
            _, output, _ = call(["qconf", "-sconf"], self.unavailable)
        except (Refused, Unavailable):
            return self.usual_array_limit
        limit = re.search(r"^max_aj_tasks\s+(\d+)", output, re.MULTILINE)
        return int(limit.group(1)) or 10**9 if limit else self.usual_array_limit  # 0: no limit

    def submit_words(self, words, name, array, output):
        name = name if not name[:1].isdigit() else f"j{name}"  # a name must not begin with a digit
        words = [*self.with_ram_free(words), "-terse", "-N", re.sub(r"[^\w.-]", "_", name), "-o", output]
        if array:
            first, last, limit = array
            words += ["-t", f"{first}-{last}"] + (["-tc", str(limit)] if limit else [])
        return words

    def with_ram_free(self, words):
        """Many sites count memory in a resource of their own, ram_free: it is asked for too, where the site has it."""
        built_in = ("*", ["-l", "mem_free=$0"])
        asked = [word for word in words if word.startswith("mem_free=")]
        if not asked or built_in not in self.config.options.get("mem", ()):
            return words
        try:
            _, output, _ = call(["qconf", "-sc"], self.unavailable)
        except (Refused, Unavailable):
            return words
        if not re.search(r"^ram_free\s+\S+\s+MEMORY\s+\S+\s+(YES|FORCED)\b", output, re.MULTILINE):
            return words
        return [f"{word},ram_free={word.partition('=')[2]}" if word in asked else word for word in words]

    def read_job_id(self, output):
        for line in reversed(output.splitlines()):
            match = re.match(r"(\d+)(\.\d+-\d+:\d+)?\s*\Z|Your job(?:-array)? (\d+)", line)
            if match:
                return match.group(1) or match.group(3)
        return None

    def ask(self, job_ids):
        user = pwd.getpwuid(os.getuid()).pw_name
        code, output, errors = call(["qstat", "-u", user, "-xml"], self.unavailable)
        if code or "<job_info" not in output:
            raise Unavailable((errors or output).strip())
        entries = []
        for block in re.findall(r"<job_list\b.*?</job_list>", output, re.DOTALL):
            fields = dict(re.findall(r"<(JB_job_number|state|tasks)>(.*?)</", block))
            if fields.get("JB_job_number") in job_ids:
                state = fields.get("state", "")
                kind = "error" if "E" in state else "pending" if "q" in state or "w" in state else "running"
                detail = f"state {state}"
                if kind == "error":
                    detail += self.error_reason(fields["JB_job_number"])
                indices = task_numbers(fields.get("tasks", "")) or [0]
                entries.append(Entry(fields["JB_job_number"], indices, kind, detail))
        return entries

    def error_reason(self, job_id):
        """Why a job is in an error state, as far as qstat -j says it."""
        _, output, _ = call(["qstat", "-j", job_id], self.unavailable)
        match = re.search(r"^error reason.*?:\s*(.*)$", output, re.MULTILINE)
        return f", {match.group(1).strip()}" if match else ""

    def explain(self, job_ids, tasks):
        finals = {}
        for job_id in sorted({job_id for job_id, _ in tasks}):
            try:
                _, output, _ = call(["qacct", "-j", job_id], self.unavailable)
            except (Refused, Unavailable):
                continue  # without accounting only the exit status speaks
            for record in output.split("=" * 62):
                fields = dict(re.findall(r"^(\w+)\s+(.*?)\s*$", record, re.MULTILINE))
                if fields.get("jobnumber") == job_id:
                    index = 0 if fields.get("taskid") == "undefined" else int(fields.get("taskid", "0"))
                    finals[job_id, index] = final(fields)
        return finals

    def cancel(self, job_ids, tasks=()):
        commands = [["qdel", *job_ids]] if job_ids else []
        commands += [["qdel", job_id, "-t", str(index)] if index else ["qdel", job_id] for job_id, index in tasks]
        for words in commands:
            code, output, errors = call(words, self.unavailable)
            if code and "does not exist" not in output + errors:
                raise Refused((errors or output).strip())

    # On a node.

    def hosts(self, job):
        path = os.environ.get("PE_HOSTFILE", "")
        if not os.path.isfile(path):
            return [os.environ.get("HOSTNAME") or os.uname().nodename]
        with open(path, encoding="utf-8") as stream:
            return [line.split()[0] for line in stream if line.strip()]

    def job_variable(self):
        task = os.environ.get("SGE_TASK_ID", "undefined")
        return os.environ.get("JOB_ID", "") + ("" if task == "undefined" else f"t{task}")

    def node_commands(self, hosts, words, job):
        qrsh = os.path.join(os.environ.get("SGE_BINARY_PATH", ""), "qrsh")
        here = [*words, "0"]  # the first node is where the script runs
        others = [[qrsh, "-inherit", "-nostdin", host, *words, str(rank)] for rank, host in enumerate(hosts) if rank]
        return [here, *others]


def final(fields):
    """A record of qacct -> Final."""
    failed, _, said = fields.get("failed", "0").partition(":")
    failed = failed.split()[0] if failed.split() else "0"
    if fields.get("deleted_by", "NONE") not in ("NONE", ""):
        return Final(f"deleted by {fields['deleted_by']}", cut_off=True)
    if failed == "0":
        return Final("", cut_off=False)
    reason = FAILED.get(failed, "the scheduler could not run it")
    status = " ".join(fields.get("exit_status", "?").split())
    return Final(f"{reason} (failed {failed}{':' if said else ''}{said}, exit status {status})", cut_off=True)
