"""What a scheduler starts on a node: see cluster/job_task.py. Queued jobs hold this path, so it stays."""

import sys

from cluster.job_task import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
