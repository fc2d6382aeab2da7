"""The folder of Libri-Light in, the tables of train and dev out: its voice activity as segments, dev of other speakers.

What has been read lies in --work, a file for some speakers each: a call that was stopped goes on there.
"""

import argparse
import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from voice_activity import Cutting, read_speaker

from espnet2.data_prep.scan import map_in_order, require_root
from espnet2.data_prep.split import hold_out
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write, hash_value
from espnet2.utils.progress import Progress

NUM_UNITS = 512  # files in --work: at most so small a share is lost by a stop
NUM_NAMED = 5  # offenders a message names
LANGUAGE = "en"


class Unit(NamedTuple):
    """Some speakers, whose segments go into one file."""

    speakers: dict[str, list[str]]  # name -> folders, one in each subset
    part: Path


class UnitSummary(NamedTuple):
    """What the file of a unit begins with."""

    seconds: dict[str, float]  # of each speaker
    lacking: list[str]  # audio without .json, the first ones
    num_lacking: int


def read_unit(unit: Unit, cutting: Cutting) -> UnitSummary:
    """Write the segments of a unit, unless an earlier call did; its lines are speaker, path, recording, start, end."""
    if unit.part.exists():
        with open(unit.part, encoding="utf-8") as stream:
            return UnitSummary(**json.loads(stream.readline()))
    seconds, lacking, lines = {}, [], []
    for speaker, folders in unit.speakers.items():
        segments, without = read_speaker(speaker, folders, cutting)
        lacking += without
        # The length of a whole file is not read: millions of headers. It counts as the longest that is wanted.
        seconds[speaker] = sum(cutting.max_seconds if one.end is None else one.end - one.start for one in segments)
        for path, recording, start, end in segments:
            lines.append(f"{speaker}\t{path}\t{recording}\t{start:.3f}\t{'' if end is None else f'{end:.3f}'}\n")
    summary = UnitSummary(seconds, lacking[:NUM_NAMED], len(lacking))
    with atomic_write(unit.part) as stream:
        stream.write(json.dumps(summary._asdict()) + "\n")
        stream.writelines(lines)
    return summary


def find_units(root: Path, subsets: list[str], cutting: Cutting, work: Path) -> list[Unit]:
    """Speakers, whatever subset they are in, in units; other options give their files other names."""
    require_root(root, subsets, "Libri-Light (--librilight_root, --subsets)")
    speakers: dict[str, list[str]] = {}
    for subset in subsets:
        with os.scandir(root / subset) as entries:
            for entry in entries:
                if entry.is_dir() and not entry.name.startswith("."):
                    speakers.setdefault(entry.name, []).append(entry.path)
    if not speakers:
        raise UserError(f"{root / subsets[0]}: no folder in it; expected <speaker>/<book>/<file>.flac below it")
    work = work / hash_value([str(root), subsets, cutting])
    if work.exists():
        print(f"going on with what was read before ({work}); delete that folder to begin anew", flush=True)
    names = sorted(speakers)
    count = min(NUM_UNITS, len(names))
    groups = [names[number::count] for number in range(count)]
    return [Unit({name: sorted(speakers[name]) for name in group}, work / hash_value(group)) for group in groups]


def utterances(units: list[Unit], speakers: set[str], keep: bool) -> Iterator[Utterance]:
    """The utterances of these speakers, or (keep false) of all others."""
    for unit in units:
        with open(unit.part, encoding="utf-8") as stream:
            next(stream)  # what read_unit found
            for line in stream:
                speaker, path, recording, start, end = line[:-1].split("\t")
                if (speaker in speakers) is not keep:
                    continue
                name = f"{speaker}-{recording}"
                if end:
                    # Centiseconds that sort as numbers; the longest LibriVox files last some hours.
                    part = f"{name}-{round(100 * float(start)):07d}"
                    yield Utterance(part, speaker, path, None, LANGUAGE, float(start), float(end), name)
                else:
                    yield Utterance(name, speaker, path, None, LANGUAGE)


def main() -> None:
    """Read all speakers, choose those of dev, write both sets."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the new sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for what a later call need not read again")
    parser.add_argument("--subsets", required=True, help="such as 'small medium'")
    parser.add_argument("--max_seconds", type=float, default=30.0)
    parser.add_argument("--max_pause_seconds", type=float, default=2.0)
    parser.add_argument("--min_seconds", type=float, default=2.0)
    parser.add_argument("--segmented", choices=("true", "false"), default="false")
    parser.add_argument("--dev_hours", type=float, default=5.0)
    parser.add_argument("--nj", type=int, default=1, help="processes")
    args = parser.parse_args()
    cutting = Cutting(args.max_seconds, args.max_pause_seconds, args.min_seconds, args.segmented == "true")
    units = find_units(Path(os.path.abspath(args.root)), args.subsets.split(), cutting, args.work)
    seconds: dict[str, float] = {}
    lacking, num_lacking = [], 0
    progress = Progress("speakers", sum(len(unit.speakers) for unit in units))
    for unit, summary in zip(units, map_in_order(partial(read_unit, cutting=cutting), units, args.nj, 1), strict=True):
        seconds |= {name: value for name, value in summary.seconds.items() if value}
        lacking, num_lacking = (lacking + summary.lacking)[:NUM_NAMED], num_lacking + summary.num_lacking
        progress.add(len(unit.speakers))
    if num_lacking:
        print(f"{num_lacking} audio files have no .json and are left out: {' '.join(lacking)}", flush=True)
    if not seconds:
        shutil.rmtree(args.work)  # what is there next time may be more
        raise UserError(f"{args.root}: no segments; where files were cut already, pass --segmented true")
    dev = hold_out({speaker: value / 3600 for speaker, value in seconds.items()}, args.dev_hours)
    for dset, keep in (("train", False), ("dev", True)):
        count, speakers = write_data_dir(args.output_dir / dset, utterances(units, dev, keep))
        hours = sum(value for name, value in seconds.items() if (name in dev) is keep) / 3600
        print(f"{dset}: {count} utterances, {speakers} speakers, about {hours:.1f} hours", flush=True)


if __name__ == "__main__":
    run_main(main)
