"""The results of all jobs of stage 3 in, dump/org/<set> out, or nothing when too much audio was rejected."""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypedDict

from espnet2.data.format.as_is import SAMPLED
from espnet2.data.format.convert import Shard
from espnet2.data.format.filter_tables import (
    COMPANIONS,
    concatenate,
    copy_companions,
    remove_stale_companions,
    tables_beside,
)
from espnet2.data.format.plan import (
    AS_IS,
    CLIPPED_TABLE,
    DONE_FILE,
    TABLES,
    WORK_FOLDER,
    FormatOptions,
    done_hash,
    read_hash,
    work_hash,
)
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file, write_json

SHOWN_REJECTIONS = 5
SUMMED = (  # what each job counts
    "num_kept", "num_rejected", "num_samples", "num_first_channel",
    "num_longer", "num_shorter", "num_clipped", "clipped_samples",
)  # fmt: skip


class Counts(TypedDict, total=False):
    """What older folders may lack."""

    num_longer: int  # recordings that hold more than their headers say
    longer_example: str
    num_shorter: int  # recordings that hold less and were kept
    truncation_tolerance: float  # seconds
    num_clipped: int  # utterances
    check_audio: str  # "sample" or "full": which utterances stage 3 decoded
    clipped_samples: int


class FormatProperties(Counts):
    """format.json."""

    hash: str
    root: str  # what relative paths in wav.scp start from, relative to this folder
    companions_hash: str
    sample_rate: int  # Hz
    audio_format: str
    channel: int | None
    num_utterances: int
    num_rejected: int
    num_first_channel: int
    total_samples: int


def merge_format(
    data_dir: Path, output_dir: Path, options: FormatOptions, num_jobs: int, max_rejected_ratio: float
) -> FormatProperties:
    """Collect the jobs of stage 3.

    Args:
        num_jobs: as `prepare` returned it; 0 to bring only the tables beside the audio up to date.
        max_rejected_ratio: more than this share of rejected utterances is an error.

    Returns:
        The contents of format.json.

    Raises:
        UserError: a job did not finish, too many utterances were rejected, or none is left.
    """
    work = work_hash(data_dir, options)
    companions = _companions_hash(data_dir)
    if num_jobs == 0:
        return _refresh_companions(data_dir, output_dir, work, companions, max_rejected_ratio)
    shards = [Shard(output_dir, job, num_jobs).folder for job in range(1, num_jobs + 1)]
    totals = _add_up(shards, work)
    _check_rejections(totals, [folder / "rejected.tsv" for folder in shards], max_rejected_ratio)
    properties: FormatProperties = {
        "hash": work,
        "root": os.path.relpath(os.getcwd(), os.path.abspath(output_dir)),  # what relative paths in wav.scp start from
        "companions_hash": companions,
        "sample_rate": options.sample_rate,
        "audio_format": options.audio_format,
        "check_audio": options.check_audio if options.audio_format == AS_IS else "full",
        "channel": options.channel,
        "num_utterances": totals["num_kept"],
        "num_rejected": totals["num_rejected"],
        "num_first_channel": totals["num_first_channel"],
        "num_longer": totals["num_longer"],
        "longer_example": _first_text(shards, "longer_example"),
        "num_shorter": totals["num_shorter"],
        "truncation_tolerance": options.truncation_tolerance,
        "num_clipped": totals["num_clipped"],
        "clipped_samples": totals["clipped_samples"],
        "total_samples": totals["num_samples"],
    }
    with tables_beside(output_dir, last=DONE_FILE) as beside:
        for name in TABLES:
            parts = [folder / name for folder in shards if (folder / name).exists()]
            if name != CLIPPED_TABLE or totals["num_clipped"]:
                concatenate(parts, beside / name)
        (output_dir / CLIPPED_TABLE).unlink(missing_ok=True)  # of an earlier run; the new one moves there now
        written = copy_companions(data_dir, beside, beside / "wav.scp", rename=True)
        write_json(beside / DONE_FILE, properties)
    remove_stale_companions(output_dir, written)
    shutil.rmtree(output_dir / WORK_FOLDER)
    return properties


def _companions_hash(data_dir: Path) -> str:
    return hash_bytes(*(hash_file(data_dir / name) if (data_dir / name).exists() else "" for name in COMPANIONS))


def _refresh_companions(
    data_dir: Path, output_dir: Path, work: str, companions: str, max_rejected_ratio: float
) -> FormatProperties:
    """The audio is there; transcripts, languages or alignments may have changed since."""
    if done_hash(output_dir) != work:
        raise UserError(f"{output_dir}: not the audio of {data_dir} with these options; run stage 3 again")
    properties: FormatProperties = json.loads((output_dir / DONE_FILE).read_text(encoding="utf-8"))
    totals = {"num_kept": properties["num_utterances"], "num_rejected": properties["num_rejected"]}
    _check_rejections(totals, [output_dir / "rejected.tsv"], max_rejected_ratio)
    if properties["companions_hash"] != companions:
        properties["companions_hash"] = companions
        with tables_beside(output_dir, last=DONE_FILE) as beside:
            written = copy_companions(data_dir, beside, output_dir / "wav.scp", rename=True)
            write_json(beside / DONE_FILE, properties)
        remove_stale_companions(output_dir, written)
    return properties


def _add_up(shards: list[Path], work: str) -> dict[str, int]:
    totals = dict.fromkeys(SUMMED, 0)
    for job, folder in enumerate(shards, 1):
        if read_hash(folder / "done.json") != work:
            raise UserError(f"job {job} of {len(shards)} did not finish (no {folder}/done.json): see its log")
        summary = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        totals = {key: value + summary.get(key, 0) for key, value in totals.items()}
    return totals


def _first_text(shards: list[Path], name: str) -> str:
    texts = (json.loads((folder / "done.json").read_text(encoding="utf-8")).get(name, "") for folder in shards)
    return next(filter(None, texts), "")


def _check_rejections(totals: dict[str, int], tables: list[Path], max_ratio: float) -> None:
    rejected, kept = totals["num_rejected"], totals["num_kept"]
    ratio = rejected / (rejected + kept)
    if rejected == 0 or (ratio <= max_ratio and kept > 0):
        return
    first = "\n".join(f"  {line}" for line in islice(_lines(tables), SHOWN_REJECTIONS))
    raise UserError(
        f"{rejected} of {rejected + kept} utterances ({100 * ratio:.2g} %) have no usable audio, "
        f"more than --max_rejected_ratio {max_ratio:g} allows; the first:\n{first}\n"
        "  mend them, take them out of the data directory, or give a higher --max_rejected_ratio"
    )


def _lines(tables: list[Path]) -> Iterator[str]:
    for path in tables:
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                yield line.rstrip("\n").replace("\t", "  ")


def describe(output_dir: Path, properties: FormatProperties) -> None:
    """Say what stage 3 made."""
    hours = properties["total_samples"] / properties["sample_rate"] / 3600
    kept, rejected = properties["num_utterances"], properties["num_rejected"]
    print(
        f"{output_dir}: {kept:,} utterances, {hours:.2f} hours at {properties['sample_rate']} Hz"
        + (f"; {rejected} rejected, see {output_dir}/rejected.tsv" if rejected else ""),
        file=sys.stderr,
    )
    if properties["num_first_channel"]:
        print(
            f"{properties['num_first_channel']:,} utterances have several channels: the first was taken "
            "(--channel N takes another)",
            file=sys.stderr,
        )
    for line in _notes(output_dir, properties):
        print(f"{output_dir}: {line}", file=sys.stderr)


def _notes(output_dir: Path, properties: FormatProperties) -> list[str]:
    """What of the set is not as its headers say, one line for each kind."""
    notes = []
    if properties["audio_format"] == AS_IS:
        is_full = properties["check_audio"] == "full"
        part = "all of it was decoded" if is_full else f"one utterance of {SAMPLED} was decoded"
        notes.append(f"the audio is read where it lies: nothing was written, {part}")
    if properties.get("num_longer"):
        notes.append(
            f"{properties['num_longer']:,} recordings hold more than their headers say: all of it was taken "
            f"({properties['longer_example']})"
        )
    if properties.get("num_shorter"):
        notes.append(
            f"{properties['num_shorter']:,} recordings are shorter than their headers say and were kept "
            f"(--truncation_tolerance {properties['truncation_tolerance']:g} s, --keep_truncated)"
        )
    if properties.get("num_clipped"):
        share = properties["clipped_samples"] / properties["total_samples"]
        notes.append(
            f"{properties['num_clipped']:,} utterances were clipped at full scale, {share:.2g} of all samples: "
            f"see {output_dir}/{CLIPPED_TABLE}"
        )
    return notes
