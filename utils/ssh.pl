#!/bin/sh
"""exec" "${0%/*}/python.sh" -SE "$0" "$@"
" """

"""[options] [JOB=1:n] log command... -> the command run on the hosts of a list by ssh, once per task, with a log each.

Kaldi's command line; options are those of conf/ssh.conf and of doc/clusters.md. --dry_run shows what is submitted.
"""

from cluster.ssh import Ssh
from cluster.watch import main

main(Ssh())
