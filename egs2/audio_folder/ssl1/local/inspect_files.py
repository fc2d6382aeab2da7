"""The plan of `prepare.py plan` in, one job's share of the inspections out; a stopped job goes on at the next file."""

import argparse
import os
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the parallel unit is the job

from inspection import Inspected, inspect
from plan import CHUNK_FILES, Plan, read_plan

from espnet2.utils.errors import run_main
from espnet2.utils.progress import Progress


def inspect_chunk(plan: Plan, number: int, progress: Progress) -> None:
    """Inspect the files of one chunk, unless that was done; lines of a stopped run are kept."""
    if plan.chunk(number).exists():
        return
    partial = plan.chunk(number).with_suffix(".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    num_done = drop_cut_line(partial) if partial.exists() else 0
    with (
        open(plan.todo, encoding="utf-8", errors="surrogateescape", newline="\n") as todo,
        open(partial, "a", encoding="utf-8", newline="\n") as stream,
    ):
        for line in islice(todo, number * CHUNK_FILES + num_done, (number + 1) * CHUNK_FILES):
            inspected: Inspected = inspect(plan.root, line[:-1], plan.options, plan.work)
            stream.write(inspected.to_line())
            stream.flush()
            progress.add()
    partial.rename(plan.chunk(number))


def drop_cut_line(partial: Path) -> int:
    """Remove a last line without an end; returns the number of whole lines."""
    content = partial.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(partial, len(whole))
    return whole.count(b"\n")


def main() -> None:
    """Inspect every `num_jobs`th chunk."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--work_dir", type=Path, required=True, help="as given to prepare.py plan")
    parser.add_argument("--job", type=int, required=True, help="from 1")
    parser.add_argument("--num_jobs", type=int, required=True)
    arguments = parser.parse_args()
    plan = read_plan(arguments.work_dir)
    chunks = [
        number
        for number in range(arguments.job - 1, plan.num_chunks, arguments.num_jobs)
        if not plan.chunk(number).exists()
    ]
    sizes = [min(CHUNK_FILES, plan.num_files - number * CHUNK_FILES) for number in chunks]
    progress = Progress("files inspected", sum(sizes))
    for number in chunks:
        inspect_chunk(plan, number, progress)


if __name__ == "__main__":
    run_main(main)
