#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""[options] [JOB=1:n] log command... -> as run.pl, one task after the other, its output shown on standard output too.

--max-jobs-run N runs N at a time; their lines then mix on the screen, not in the logs.
"""

from cluster import job_local

job_local.main(show=True)
