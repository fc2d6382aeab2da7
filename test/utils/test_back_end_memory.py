"""--mem in, the words of each scheduler for it out: per processor as in Kaldi, with what the site counts."""

from pathlib import Path

import pytest


def test_memory_of_slurm_is_per_processor(run) -> None:
    line = run("slurm.pl", "--dry_run", "--mem", "4G", "--num-threads", 2, "x.log", "true").stdout.splitlines()[1]
    assert line.startswith("sbatch --mem-per-cpu 4G --cpus-per-task 2 ")


@pytest.mark.parametrize(
    ("complexes", "words"),
    [
        ("mem_free mf MEMORY <= YES NO 0 0\nram_free ram_free MEMORY <= YES JOB 1G 0", "-l mem_free=4G,ram_free=4G "),
        ("mem_free mf MEMORY <= YES NO 0 0\nram_free ram_free MEMORY <= NO JOB 1G 0", "-l mem_free=4G "),
        ("mem_free mf MEMORY <= YES NO 0 0", "-l mem_free=4G "),
        (None, "-l mem_free=4G "),
    ],
)
def test_grid_engine_asks_for_ram_free_where_the_site_has_it(
    run, tmp_path: Path, complexes: str | None, words: str
) -> None:
    (tmp_path / "bin").mkdir()
    if complexes is not None:
        (tmp_path / "bin" / "qconf").write_text(f'#!/bin/sh\n[ "$1" = -sc ] || exit 1\ncat << EOF\n{complexes}\nEOF\n')
        (tmp_path / "bin" / "qconf").chmod(0o755)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    output = run("queue.pl", "--dry_run", "--mem", "4G", "x.log", "true", environment={"PATH": path}).stdout
    assert words in output, output
    (tmp_path / "own.conf").write_text("command qsub\noption mem=* -l h_vmem=$0\n")
    options = ["--config", "own.conf", "--dry_run", "--mem", "4G"]
    assert "-l h_vmem=4G " in run("queue.pl", *options, "x.log", "true", environment={"PATH": path}).stdout
