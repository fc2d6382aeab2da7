"""A data directory -> the same one with sox pipes in wav.scp that change the loudness of each recording."""

import os
import random
import re

import audio_source
import tables

PROGRAM = "perturb_data_dir_volume.sh"
DONE = re.compile(rb"\bsox --vol ")
LINES_LOOKED_AT = 100  # for a change of volume that is there already, as Kaldi does


def louder(line: bytes, volume: float) -> bytes:
    """A wav.scp line with a sox command that multiplies the samples."""
    name, entry = os.fsdecode(line).rstrip("\n").split(None, 1)
    start = audio_source.piped(entry)
    source = "-t wav -" if start else audio_source.sox_input(entry.rstrip())
    command = f"sox --vol {volume} {source} -t wav - |"
    return os.fsencode(f"{name} {start} {command}\n" if start else f"{name} {command}\n")


def read_volumes(path: str) -> dict[bytes, float]:
    """recording -> factor, from "<recording> <factor>" lines."""
    folder, name = os.path.split(path)
    pairs = tables.second_fields(tables.Directory(folder or ".", PROGRAM), name)
    try:
        return {key: float(value) for key, value in pairs.items()}
    except ValueError as error:
        tables.fail(PROGRAM, f"{path}: {error}")


def main(arguments: list[str]) -> None:
    """<data-dir> <scale-low> <scale-high> <reco2vol or ""> <write-reco2vol or "">"""
    path, low, high, given, written = arguments
    directory = tables.Directory(path, PROGRAM)
    directory.require("wav.scp")
    lines = directory.read("wav.scp")
    if any(DONE.search(line) for line in lines[:LINES_LOOKED_AT]):
        tables.say(PROGRAM, f"{directory.file('wav.scp')} changes the volume already: nothing done")
        return
    generator = random.Random(0)  # Kaldi's: the same factors as there
    try:
        drawn = [generator.uniform(float(low), float(high)) for _ in lines]
    except ValueError:
        tables.fail(PROGRAM, f"--scale-low and --scale-high must be numbers, got '{low}' and '{high}'")
    names = tables.keys(lines)
    if given:
        volumes = read_volumes(given)
        unknown = next((name for name in names if name not in volumes), None)
        if unknown is not None:
            tables.fail(PROGRAM, f"{given} has no volume of '{tables.shown(unknown)}'")
        drawn = [volumes[name] for name in names]
    changed = [louder(line, volume) for line, volume in zip(lines, drawn, strict=True)]
    if written:
        folder, name = os.path.split(written)
        pairs = zip(names, drawn, strict=True)
        tables.Directory(folder or ".", PROGRAM).write(name, [b"%s %r\n" % pair for pair in pairs])
    directory.set_aside("feats.scp", PROGRAM)
    directory.write("wav.scp", changed)
    tables.say(PROGRAM, f"added volume perturbation to the data in {path}")
