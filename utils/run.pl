#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""[options] [JOB=1:n] log command... -> the command run on this machine, once per task, with a log each.

Kaldi's command line. --max-jobs-run N (default: the number of cores) tasks run at a time; --mem, --num-threads,
--time, --config and the options of queues are accepted and do nothing here; --gpu N runs one task per GPU.
"""

from cluster import job_local

job_local.main(show=False)
