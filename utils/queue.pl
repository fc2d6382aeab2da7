#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""[options] [JOB=1:n] log command... -> the command run by Grid Engine, once per task, with a log each.

Kaldi's command line; options are those of conf/queue.conf and of doc/clusters.md. --dry_run shows what is submitted.
"""

from cluster.sge import GridEngine
from cluster.watch import main

main(GridEngine())
