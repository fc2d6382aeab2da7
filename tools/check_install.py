#!/usr/bin/env python3
"""The Python it is run with in, one line per thing that works or is missing, with the remedy, out.

Usage: python tools/check_install.py [--to PURPOSE...]        e.g.: python tools/check_install.py --to train export
  --to PURPOSE...   what you want to do: what is missing for it is an error, other extras are left out
Exit status: 0 everything required works, 1 something required is missing or broken, 2 an unknown option or purpose.
Standard library only, so that it runs in an environment where everything is missing.
"""

from __future__ import annotations  # an old Python must get as far as telling that it is old

import argparse
import importlib
import importlib.metadata
import importlib.util
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
MINIMUM_PYTHON = (3, 10)
MINIMUM_BASH = (4, 2)  # utils/parse_options.sh needs `declare -g` and `[[ -v name ]]`
MINIMUM_DISK_GIB = 5  # the environment takes about 2 GiB, the demo recipes below 1 GiB
# Distributions whose module has another name than the distribution.
MODULES = {"pyyaml": "yaml", "espnet_tts_frontend": "tacotron_cleaner"}


class Purpose(NamedTuple):
    """What a user wants to do: the extras of setup.py and the programs, one of each line of alternatives, it needs."""

    extras: tuple[str, ...] = ()
    programs: tuple[tuple[str, ...], ...] = ()


PURPOSES = {
    "train": Purpose(),
    "demo": Purpose(extras=("recipe",)),
    "prepare": Purpose(extras=("prepare", "audio")),  # corpora of other toolkits' recipes
    "evaluate": Purpose(extras=("eval",)),
    "export": Purpose(extras=("export",)),
    "share": Purpose(extras=("hub",)),
    "submit": Purpose(programs=(("sbatch", "qsub", "bsub", "squeue", "ssh"),)),
    "develop": Purpose(extras=("test", "doc"), programs=(("git",), ("make",))),
}
OK, NOTE, BAD = "ok", "--", "MISSING"


class Finding(NamedTuple):
    """One line of the report; only BAD makes the exit status 1."""

    state: str
    text: str


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version.

    >>> numbers("2.13.0+cpu")
    (2, 13, 0)
    """
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()


def split_requirement(requirement: str) -> tuple[str, list[tuple[str, str]]]:
    """Split a requirement of setup.py into its name and its bounds.

    >>> split_requirement("torch>=2.13,<3")
    ('torch', [('>=', '2.13'), ('<', '3')])
    """
    name = re.match(r"[\w.-]+", requirement).group()
    return name, re.findall(r"(>=|<)([\d.]+)", requirement[len(name) :])


def within(version: str, bounds: list[tuple[str, str]]) -> bool:
    """Tell whether a version satisfies all bounds."""
    return all(
        numbers(version) >= numbers(limit) if sign == ">=" else numbers(version) < numbers(limit)
        for sign, limit in bounds
    )


def check_python() -> Finding:
    """The interpreter itself."""
    text = f"Python {sys.version.split()[0]} ({sys.executable})"
    if sys.version_info[:2] < MINIMUM_PYTHON:
        return Finding(BAD, f"{text}; remedy: Python 3.10 or newer, then PYTHON=/path/to/python tools/setup_env.sh")
    return Finding(OK, text)


def check_package(requirement: str, *, extra: str = "", required: bool = False) -> Finding:
    """One distribution: there, within its bounds and, outside the extras, importable."""
    name, bounds = split_requirement(requirement)
    itself = f"-e '{ROOT}[{extra}]'" if (ROOT / "pyproject.toml").is_file() else f"'espnet2-ssl[{extra}]'"
    install = f"pip install {itself}" if extra else f"tools/setup_env.sh, or pip install '{requirement}'"
    label, missing = (f"{name} [{extra}]", BAD if required else NOTE) if extra else (name, BAD)
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(missing, f"{label}: not installed; remedy: {install}")
    if not within(version, bounds):
        return Finding(missing, f"{label} {version}: needed is {requirement}; remedy: {install}")
    if not extra:
        try:
            importlib.import_module(MODULES.get(name, name))
        except Exception as error:  # whatever a broken package raises is what the user must read
            return Finding(BAD, f"{name} {version}: does not import ({error}); remedy: {repair_of(name)}")
    return Finding(OK, f"{label} {version}")


def repair_of(name: str) -> str:
    """Return what to do about an installed package that does not import."""
    if name == "torchaudio":
        return "python tools/repair_torchaudio.py --owned_environment tools/venv"
    return f"pip install --force-reinstall {name}"


def check_accelerators() -> Iterator[Finding]:
    """What torch computes on."""
    import torch

    if not torch.cuda.is_available():
        build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU-only build"
        yield Finding(NOTE, f"GPU: none that torch can use (torch is {build}); training runs with --ngpu 0")
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if properties.major >= 8 else "no bf16: use dtype fp16 or fp32"  # Ampere is 8.0
        memory_gib = properties.total_memory / 2**30
        yield Finding(OK, f"GPU {index}: {properties.name}, {memory_gib:.0f} GiB, {bf16}, CUDA {torch.version.cuda}")


def check_mfcc() -> Finding:
    """The torchaudio part that the first HuBERT labels come from."""
    import torch
    import torchaudio

    features = torchaudio.transforms.MFCC(sample_rate=16000, n_mfcc=13)(torch.zeros(1, 16000))
    return Finding(OK, f"torchaudio MFCC computes ({features.shape[-1]} frames of {features.shape[-2]} for one second)")


def check_audio_formats() -> Iterator[Finding]:
    """Write and read back each audio format in memory."""
    import numpy
    import soundfile

    wave = numpy.zeros(1600, dtype=numpy.float32)
    for audio_format, subtype, state in (("WAV", "PCM_16", BAD), ("FLAC", "PCM_16", BAD), ("OGG", "VORBIS", NOTE)):
        memory = io.BytesIO()
        try:
            soundfile.write(memory, wave, 16000, format=audio_format, subtype=subtype)
            memory.seek(0)
            soundfile.read(memory)
        except (RuntimeError, ValueError) as error:
            yield Finding(state, f"soundfile {audio_format}: {error}; remedy: pip install --force-reinstall soundfile")
        else:
            yield Finding(OK, f"soundfile reads and writes {audio_format}")


def check_collision(own_name: str) -> Iterator[Finding]:
    """Another distribution with a package named espnet2 would be imported instead of ours, or the reverse."""
    others = set()
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name and re.sub(r"[-_.]+", "-", name).lower() != own_name and _installs_espnet2(distribution):
            others.add(name)
    for name in sorted(others):
        yield Finding(
            BAD,
            f"the distribution '{name}' also installs a package named espnet2; remedy: pip uninstall {name}, "
            "or another environment for it",
        )
    spec = importlib.util.find_spec("espnet2")
    beside = (ROOT / "espnet2").resolve()  # a link in recipes of an installed package
    if beside.is_dir() and spec and spec.origin and Path(spec.origin).resolve().parent != beside:
        yield Finding(BAD, f"espnet2 is imported from {spec.origin}; remedy: pip install -e '{ROOT}'")
    elif not others:
        yield Finding(OK, "no other package named espnet2")


def _installs_espnet2(distribution: importlib.metadata.Distribution) -> bool:
    """Tell whether a distribution's own lists name a top-level package espnet2."""
    top_level = (distribution.read_text("top_level.txt") or "").split()
    return "espnet2" in top_level or "\nespnet2/" in "\n" + (distribution.read_text("RECORD") or "")


def check_shell() -> Iterator[Finding]:
    """What the recipe scripts need beside Python."""
    try:
        command = ["bash", "-c", "echo $BASH_VERSION"]
        version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        version = ""
    if numbers(version)[:2] < MINIMUM_BASH:
        yield Finding(BAD, f"bash {version.strip() or 'not found'}; remedy: bash 4.2 or newer first on PATH")
    else:
        yield Finding(OK, f"bash {version.strip()}")
    programs = [path for pattern in ("*.sh", "*.pl", "*/*.sh") for path in (ROOT / "utils").glob(pattern)]
    sourced = {"parse_options.sh", "log.sh"}
    blocked = sorted(p.name for p in programs if p.name not in sourced and not os.access(p, os.X_OK))
    if not programs or blocked:
        what = f"not executable: {', '.join(blocked)}" if programs else "empty"
        yield Finding(BAD, f"utils/ is {what}; remedy: clone with git, or chmod +x '{ROOT}'/utils/*.{{sh,pl}}")
    else:
        yield Finding(OK, f"utils/: {len(programs)} scripts, executable")


def check_disk() -> Finding:
    """Free space where the toolkit lies; of a wheel, which unpacks this file for a moment, where the user is."""
    stays = any((ROOT / name).is_file() for name in ("pyproject.toml", ".installed_python"))
    where = ROOT if stays else Path.cwd()
    free_gib = shutil.disk_usage(where).free / 2**30
    text = f"free disk: {free_gib:.0f} GiB at {where}"
    if free_gib < MINIMUM_DISK_GIB:
        return Finding(NOTE, f"{text}, below {MINIMUM_DISK_GIB} GiB; remedy: --dumpdir and --expdir on a larger disk")
    return Finding(OK, text)


def guarded(check: Callable[[], Finding | Iterator[Finding]]) -> Iterator[Finding]:
    """Run one check; what it raises becomes a line of the report."""
    try:
        result = check()
        yield from [result] if isinstance(result, Finding) else result
    except Exception as error:  # a report on a broken environment must not break itself
        yield Finding(BAD, f"{check.__name__.removeprefix('check_')}: {type(error).__name__}: {error}")


def check_programs(alternatives: tuple[str, ...]) -> Finding:
    """One program of several that serve the same end."""
    present = [name for name in alternatives if shutil.which(name)]
    if present:
        return Finding(OK, f"{', '.join(present)} on PATH")
    return Finding(BAD, f"none of {', '.join(alternatives)} is on PATH; remedy: a machine or a package that has one")


def check_extras(extras: dict[str, list[str]], purposes: list[str]) -> Iterator[Finding]:
    """All extras as notes; with purposes only theirs, and then they are needed."""
    needed = [extra for purpose in purposes for extra in PURPOSES[purpose].extras]
    for extra in dict.fromkeys(needed) if purposes else extras:
        for requirement in extras[extra]:
            yield check_package(requirement, extra=extra, required=bool(purposes))
    for purpose in purposes:
        for alternatives in PURPOSES[purpose].programs:
            yield check_programs(alternatives)


def findings(purposes: list[str]) -> Iterator[Finding]:
    """Yield every line of the report, from the interpreter outwards."""
    lists = runpy.run_path(str(ROOT / "setup.py"))
    yield check_python()
    packages = [check_package(requirement) for requirement in lists["REQUIRED"]]
    yield from packages
    works = {split_requirement(lists["REQUIRED"][i])[0] for i, item in enumerate(packages) if item.state == OK}
    for needs, check in (
        ({"torch"}, check_accelerators),
        ({"torch", "torchaudio"}, check_mfcc),
        ({"numpy", "soundfile"}, check_audio_formats),
    ):
        if needs <= works:
            yield from guarded(check)
    yield from check_extras(lists["EXTRAS"], purposes)
    yield from check_collision(lists["NAME"])
    yield from check_shell()
    yield check_disk()


def main() -> int:
    """Print the report; return the exit status."""
    parser = argparse.ArgumentParser("check_install", description=__doc__.split("\n")[0])
    parser.add_argument("--to", nargs="+", default=[], choices=PURPOSES, metavar="PURPOSE", help=", ".join(PURPOSES))
    purposes = parser.parse_args().to
    warnings.simplefilter("ignore")
    num_bad = 0
    for finding in findings(purposes):
        num_bad += finding.state == BAD
        print(f"{finding.state:<8}{finding.text}", flush=True)
    subject = f"everything to {' and '.join(purposes)}" if purposes else "everything required"
    print(f"check_install: {num_bad} problem(s)" if num_bad else f"check_install: {subject} works")
    return 1 if num_bad else 0


if __name__ == "__main__":
    sys.exit(main())
