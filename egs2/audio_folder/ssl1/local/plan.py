"""A folder of audio and what earlier runs found in, the files that are still to be inspected out."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from inspection import SUFFIXES, Inspected, InspectOptions, merged, read_results

from espnet2.data_prep.scan import scan_audio
from espnet2.data_prep.vad import CutOptions
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_bytes, hash_file, hash_value, write_json
from espnet2.utils.progress import Progress

CHUNK_FILES = 100  # the unit of work of a job; whatever their number, the result is the same


@dataclass(frozen=True)
class Plan:
    """What is to be inspected, and how."""

    work: Path
    root: Path
    options: InspectOptions
    num_files: int  # to inspect
    key: str  # names the list of files and the options

    @property
    def todo(self) -> Path:
        return self.work / "todo"

    @property
    def num_chunks(self) -> int:
        return -(-self.num_files // CHUNK_FILES)

    def chunk(self, number: int) -> Path:
        """The results of the files number*CHUNK_FILES and following."""
        return self.work / f"chunks.{self.key}" / f"{number:07d}"


def results_path(work: Path, root: Path, options: InspectOptions) -> Path:
    """What the last whole run on this folder with these options found."""
    return work / f"results.{hash_value([str(root), options.key])}"


def make_plan(root: Path, work: Path, options: InspectOptions, num_jobs: int) -> Plan:
    """List the folder, and of its files those that no earlier run with these options has seen as they are now.

    A listing is kept until the tables are written: a stopped run goes on with it.

    Raises:
        UserError: there is no such folder, or no audio in it.
    """
    if not root.is_dir():
        raise UserError(f"audio_folder (--audio_root): no folder {root}")
    work.mkdir(parents=True, exist_ok=True)
    known = results_path(work, root, options)
    num_files = num_todo = 0
    progress = Progress("files compared with earlier results")
    with atomic_write(work / "todo", "wb") as todo, atomic_write(work / "kept") as kept:
        earlier = read_results(known) if known.exists() else iter(())
        one = next(earlier, None)
        for path in scan_audio(root, SUFFIXES, num_jobs, work):
            num_files += 1
            progress.add()
            while one is not None and os.fsencode(one.path) < os.fsencode(path):
                one = next(earlier, None)
            if one is not None and one.path == path and is_same(root, one):
                kept.write(one.to_line())
            else:
                todo.write(os.fsencode(path) + b"\n")
                num_todo += 1
    if num_files == 0:
        raise UserError(
            f"audio_folder (--audio_root): no audio below {root}; expected files that end in {', '.join(SUFFIXES)}"
        )
    key = hash_bytes(str(root), options.key, hash_file(work / "todo"))
    plan = Plan(work, root, options, num_todo, key)
    for old in work.glob("chunks.*"):
        if old != plan.chunk(0).parent:
            shutil.rmtree(old)
    write_json(work / "plan.json", {"root": str(root), "num_files": num_todo, "key": plan.key, **asdict(options)})
    print(f"{num_files:,} files, {num_todo:,} of them to inspect", flush=True)
    return plan


def is_same(root: Path, one: Inspected) -> bool:
    """Whether a file has the size and time of change that it had when it was inspected."""
    try:
        state = os.stat(root / one.path)
    except OSError:
        return False
    return (state.st_size, state.st_mtime_ns) == (one.num_bytes, one.changed_at)


def read_plan(work: Path) -> Plan:
    """Read what `make_plan` wrote.

    Raises:
        UserError: there is no plan.
    """
    path = work / "plan.json"
    if not path.exists():
        raise UserError(f"{path}: no such file; run local/data.sh, which plans the jobs")
    values = json.loads(path.read_text(encoding="utf-8"))
    root, num_files, key = Path(values.pop("root")), values.pop("num_files"), values.pop("key")
    options = InspectOptions(**{**values, "parts": CutOptions(**values["parts"])})
    return Plan(work, root, options, num_files, key)


def collect(plan: Plan) -> Path:
    """Join what all jobs found with what earlier runs had found; in byte order of the paths.

    Raises:
        UserError: a job has not finished.
    """
    missing = [number for number in range(plan.num_chunks) if not plan.chunk(number).exists()]
    if missing:
        raise UserError(f"{plan.chunk(missing[0])}: no such file; an inspection has not ended: run local/data.sh again")

    def new_results() -> Iterator[Inspected]:
        for number in range(plan.num_chunks):
            yield from read_results(plan.chunk(number))

    results = results_path(plan.work, plan.root, plan.options)
    with atomic_write(results) as stream:
        stream.writelines(inspected.to_line() for inspected in merged(read_results(plan.work / "kept"), new_results()))
    for name in ("todo", "kept", "plan.json"):
        (plan.work / name).unlink()
    shutil.rmtree(plan.chunk(0).parent, ignore_errors=True)
    for listing in plan.work.glob("listing.*"):  # the next call is to see new files
        listing.unlink()
    return results
