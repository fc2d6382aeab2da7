"""Every program behind a .pl name: starts in at most 60 ms, needs no perl; a million lines take seconds."""

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

PROGRAMS = {
    "apply_map.pl": ("/dev/null",),
    "create_data_link.pl": ("exp/one.ark",),
    "remove_punctuation.pl": (),
    "bsub.pl": ("--dry_run", "x.log", "true"),
    "filter_scp.pl": ("/dev/null", "/dev/null"),
    "int2sym.pl": ("/dev/null",),
    "pbs.pl": ("--dry_run", "x.log", "true"),
    "queue.pl": ("--dry_run", "x.log", "true"),
    "run.pl": ("/dev/null", "true"),
    "shuffle_list.pl": (),
    "slurm.pl": ("--dry_run", "x.log", "true"),
    "spk2utt_to_utt2spk.pl": (),
    "split_scp.pl": ("-j", "1", "0", "one"),
    "ssh.pl": ("--dry_run", "--host", "h1:4", "x.log", "true"),
    "stdout.pl": ("/dev/null", "true"),
    "subset_scp.pl": ("1", "one"),
    "sym2int.pl": ("/dev/null",),
    "utt2spk_to_spk2utt.pl": (),
}
MAXIMUM_START_SECONDS = 0.060
LINES = 1_000_000
# Far above what one core needs (about 1 s each): a test machine may be loaded.
MAXIMUM_MILLION_LINES_SECONDS = 30


def children_cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_no_program_is_forgotten(utils) -> None:
    assert {path.name for path in utils.glob("**/*.pl")} == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_start_time(run, tmp_path, name) -> None:
    (tmp_path / "one").write_text("a b\n")
    times = []
    for _ in range(8):
        before = children_cpu_seconds()
        assert run(name, *PROGRAMS[name]).returncode == 0
        times.append(children_cpu_seconds() - before)
        if min(times) <= MAXIMUM_START_SECONDS:
            break
    assert min(times) <= MAXIMUM_START_SECONDS, f"{name}: {min(times) * 1000:.0f} ms of CPU"


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH with the programs of every machine and python3, but no perl, sox or flac."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("awk", "basename", "bash", "cat", "dirname", "env", "find", "grep", "head", "mkdir", "mktemp", "mv",
                 "python3", "readlink", "rm", "sed", "sh", "sort", "wc", "cut"):  # fmt: skip
        (folder / name).symlink_to(Path(shutil.which(name) or "/nowhere").resolve() if name != "python3" else
                                   Path(os.path.realpath("/proc/self/exe")))  # fmt: skip
    return str(folder)


LOCAL_DATA = """#!/usr/bin/env bash
# A corpus of one wav file per recording and a transcript file -> data/{train,dev,train_small,both}, in the usual way.
set -e -u -o pipefail

nj=2
dev_speakers=1
. utils/parse_options.sh || exit 1;
corpus=$1

mkdir -p data/local data/all
find "${corpus}" -name "*.wav" | sort | awk -F/ '{n=$NF; sub(".wav$", "", n); print n " " $0}' > data/local/wav.scp
cp data/local/wav.scp data/all/wav.scp
awk '{print $1 "-" $2 " " $1 " " $3 " " $4}' "${corpus}/segments.txt" | sort > data/all/segments
awk '{print $1 " " $2}' data/all/segments > data/all/utt2spk
cut -d " " -f 1,2,5- "${corpus}/segments.txt" | sed "s/ /-/" | sort > data/all/text
utils/utt2spk_to_spk2utt.pl < data/all/utt2spk > data/all/spk2utt
utils/fix_data_dir.sh data/all
utils/validate_data_dir.sh --no-feats data/all

awk '{print $1}' data/all/spk2utt | head -n "${dev_speakers}" > data/local/dev_spk
utils/subset_data_dir.sh --spk-list data/local/dev_spk data/all data/dev
utils/filter_scp.pl --exclude data/local/dev_spk data/all/spk2utt | cut -d " " -f 2- | tr " " "\\n" \\
    > data/local/train_utt
utils/subset_data_dir.sh --utt-list data/local/train_utt data/all data/train
utils/subset_data_dir.sh --first data/train 3 data/train_small
utils/data/get_utt2dur.sh --nj ${nj} data/train
utils/perturb_data_dir_speed.sh 1.1 data/train data/train_sp1.1
utils/combine_data.sh data/both data/train data/train_sp1.1
cat data/both/text | cut -d ' ' -f 2- | tr ' ' '\\n' | sort -u | awk '{print $1 " " NR}' > data/local/symbols
utils/sym2int.pl -f 2- data/local/symbols < data/both/text | utils/int2sym.pl -f 2- data/local/symbols \\
    | sed 's/ $//' | cmp - data/both/text
for x in dev train train_small both; do utils/validate_data_dir.sh --no-feats data/$x || exit 1; done
echo "$0: done"
"""


def make_corpus(folder: Path) -> None:
    """Three recordings of 4 s (8 kHz, silence) with two segments each."""
    folder.mkdir(parents=True)
    lines = []
    for number in (3, 1, 2):
        size = 2 * 8000 * 4
        header = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        header += bytes((1, 0, 1, 0)) + (8000).to_bytes(4, "little")
        header += (16000).to_bytes(4, "little") + bytes((2, 0, 16, 0))
        (folder / f"ses{number}.wav").write_bytes(header + b"data" + size.to_bytes(4, "little") + bytes(size))
        lines += [f"ses{number} {part} {part} {part + 1.5} word{number} и слово{part}\n" for part in (2, 0)]
    (folder / "segments.txt").write_text("".join(lines))


def test_a_usual_local_data_script_runs_without_perl(utils, tmp_path, bare_path) -> None:
    (Path(bare_path) / "tr").symlink_to(shutil.which("tr") or "/nowhere")
    for name in ("cp", "cmp", "seq", "ls"):
        (Path(bare_path) / name).symlink_to(shutil.which(name) or "/nowhere")
    recipe = tmp_path / "my recipe"
    (recipe / "local").mkdir(parents=True)
    (recipe / "utils").symlink_to(utils)
    (recipe / "local" / "data.sh").write_text(LOCAL_DATA)
    make_corpus(tmp_path / "corpus")
    result = subprocess.run(
        ["bash", "local/data.sh", "--nj", "3", str(tmp_path / "corpus")], cwd=recipe, capture_output=True, text=True,
        env={"PATH": bare_path, "LC_ALL": "C.UTF-8"}, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr + result.stdout
    assert result.stdout.endswith("local/data.sh: done\n")
    assert (recipe / "data/dev/utt2spk").read_text() == "ses1-0 ses1\nses1-2 ses1\n"
    both = (recipe / "data/both/segments").read_text().splitlines()
    assert len(both) == 8 and both[-1] == "sp1.1-ses3-2 sp1.1-ses3 1.82 3.18"


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of a million utterances of a thousand speakers, shuffled text included."""
    folder = tmp_path_factory.mktemp("million")
    names = [f"s{number // 1000:03d}-{number:07d}" for number in range(LINES)]
    (folder / "utt2spk").write_text("".join(f"{name} {name[:4]}\n" for name in names))
    (folder / "wav.scp").write_text("".join(f"{name} /corpus/audio/{name}.flac\n" for name in names))
    (folder / "text").write_text("".join(f"{name} some words in a line\n" for name in reversed(names)))
    return folder


MILLION = [
    ("utt2spk_to_spk2utt.pl", "utt2spk"),
    ("filter_scp.pl", "utt2spk wav.scp"),
    ("shuffle_list.pl", "utt2spk"),
    ("split_scp.pl", "-j 8 3 --utt2spk=utt2spk utt2spk"),
    ("fix_data_dir.sh", "."),
    ("validate_data_dir.sh", "--no-feats ."),
    ("subset_data_dir.sh", ". 500000 sub"),
]


def test_a_million_lines(utils, million) -> None:
    for name, arguments in MILLION:
        began = time.time()
        command = [str(utils / name), *arguments.split()]
        result = subprocess.run(command, cwd=million, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        seconds = time.time() - began
        assert result.returncode == 0, f"{name}: {result.stderr.decode()}"
        assert seconds < MAXIMUM_MILLION_LINES_SECONDS, f"{name}: {seconds:.1f} s"
        print(f"{name} {arguments}: {seconds:.2f} s")
