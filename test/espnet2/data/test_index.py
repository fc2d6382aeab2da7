"""The memory-mapped index: what goes in comes out, stale or malformed tables are refused, a million rows in seconds."""

import os
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest
from index_set import UTTERANCES, make_set, write

from espnet2.data.index import AudioIndex, open_indexes
from espnet2.data.index_build import build_index
from espnet2.utils.errors import UserError


def test_round_trip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_set(tmp_path / "dump" / "x")
    write(folder, "utt2lang", ["a-1 deu", "a-2 fra", "b deu"])
    assert build_index(folder) == folder / "index"
    index = AudioIndex.open(folder)
    assert len(index) == 6
    assert [index.utt_id(row) for row in range(6)] == UTTERANCES
    assert index.path(5) == "dump/org/x/audio/00000/日本.flac"
    assert index.num_samples.tolist() == [1000, 1001, 1002, 1003, 1004, 1005]
    assert index.total_samples == 6015
    assert index.mean.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert index.variance[1] == np.float32(1.25)
    assert [index.languages[number] for number in index.lang_ids] == ["deu", "und", "fra", "deu", "und", "und"]
    assert [index.find(utt) for utt in UTTERANCES] == list(range(6))
    assert [index.find(utt) for utt in ("", "a", "a-11", "zz", "日")] == [None] * 5
    assert AudioIndex.open(folder / "index").hash == index.hash


def test_paths_hold_from_another_folder_and_after_a_move(tmp_path, monkeypatch):
    recipe = tmp_path / "hubert1"
    make_set(recipe / "dump" / "x")
    monkeypatch.chdir(recipe)
    build_index("dump/x")
    (tmp_path / "ssl1").mkdir()
    monkeypatch.chdir(tmp_path / "ssl1")
    assert AudioIndex.open("../hubert1/dump/x").path(3) == str(recipe / "dump/org/x/audio/00000/b.flac")
    recipe.rename(tmp_path / "moved")
    assert AudioIndex.open("../moved/dump/x").path(3) == str(tmp_path / "moved/dump/org/x/audio/00000/b.flac")


def test_absolute_paths_and_arks_are_kept(tmp_path):
    folder = make_set(tmp_path / "x", ["u1"], audio="/corpus/with space")
    write(folder, "wav.scp", ["u1 /corpus/with space/data.000001.ark:17"])
    build_index(folder)
    assert AudioIndex.open(folder).path(0) == "/corpus/with space/data.000001.ark:17"


def test_pickle_carries_only_the_path(tmp_path):
    folders = [make_set(tmp_path / name, [f"{name}{row:05d}" for row in range(500)]) for name in ("x", "y")]
    for folder in folders:
        build_index(folder)
    index = open_indexes(folders)
    assert index.num_samples.sum() == 2 * sum(range(1000, 1500))
    data = pickle.dumps(index)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert (len(again), again.utt_id(999), again.hash) == (1000, "y00499", index.hash)


def test_joined(tmp_path):
    one, two = make_set(tmp_path / "one", ["a", "b"]), make_set(tmp_path / "two", ["a", "c", "d"])
    write(one, "utt2lang", ["a fra", "b deu"])
    write(two, "utt2lang", ["a ita", "c deu", "d fra"])
    for folder in (one, two):
        build_index(folder)
    index = open_indexes([one, two])
    assert index.names == [str(one), str(two)]
    assert index.set_ids.tolist() == [0, 0, 1, 1, 1]
    assert [index.utt_id(row) for row in range(5)] == ["a", "b", "a", "c", "d"]
    assert [index.languages[number] for number in index.lang_ids] == ["fra", "deu", "ita", "deu", "fra"]
    assert index.num_samples.tolist() == [1000, 1001, 1000, 1001, 1002]
    assert (index.find("d"), index.find("a"), index.find("x")) == (4, 0, None)
    assert index.path(4).endswith("/d.flac")
    assert index.hash not in (index.parts[0].hash, index.parts[1].hash)
    assert open_indexes([one]).hash == index.parts[0].hash
    with pytest.raises(IndexError):
        index.utt_id(5)


def test_sets_that_do_not_fit_together(tmp_path):
    one, two = make_set(tmp_path / "one"), make_set(tmp_path / "two", sample_rate=8000)
    for folder in (one, two):
        build_index(folder)
    with pytest.raises(UserError, match="8000 Hz"):
        open_indexes([one, two])
    with pytest.raises(UserError, match="named twice"):
        open_indexes([one, tmp_path / "two" / ".." / "one"])
    with pytest.raises(UserError, match="at least one"):
        open_indexes([])


def test_hash_follows_the_contents_only(tmp_path):
    folder = make_set(tmp_path / "x")
    build_index(folder)
    first = AudioIndex.open(folder).hash
    os.utime(folder / "wav.scp", (1, 1))
    assert AudioIndex.open(folder).hash == first  # touched, not changed
    (folder / "utt2num_samples").write_text((folder / "utt2num_samples").read_text().replace("1003", "1999"))
    with pytest.raises(UserError, match="changed since the index was built; run stage 6 again"):
        AudioIndex.open(folder)
    build_index(folder)
    assert AudioIndex.open(folder).hash != first
    assert AudioIndex.open(folder).num_samples[3] == 1999


def test_an_unchanged_index_is_not_written_again(tmp_path):
    folder = make_set(tmp_path / "x")
    build_index(folder)
    before = (folder / "index").stat().st_ino
    build_index(folder)
    assert (folder / "index").stat().st_ino == before
    write(folder, "utt2lang", ["b deu"])
    build_index(folder)
    assert AudioIndex.open(folder).languages == ["und", "deu"]


BAD_TABLES = {
    "order": ("wav.scp", ["b x/b.flac", "a x/a.flac"], r"wav.scp:2: 'a' comes after 'b'"),
    "twice": ("wav.scp", ["a x/a.flac", "a x/a.flac"], r"wav.scp:2: 'a' appears twice"),
    "pipe": ("wav.scp", ["a sox x.wav -t wav - |", "b x/b.flac"], "run stage 3"),
    "missing": ("utt2num_samples", ["a 100"], r"utt2num_samples:2: the file ends, expected 'b'"),
    "other": ("utt2stats", ["a 0 1", "c 0 1"], r"utt2stats:2: found 'c', expected 'b'"),
    "extra": ("utt2stats", ["a 0 1", "b 0 1", "c 0 1"], r"'c' is not in wav.scp"),
    "negative": ("utt2num_samples", ["a -100", "b 100"], r"utt2num_samples:1: '-100' is not a number of samples"),
    "not finite": ("utt2stats", ["a 0 nan", "b 0 1"], r"utt2stats:1: '0 nan'"),
    "one number": ("utt2stats", ["a 0", "b 0 1"], r"utt2stats:1: '0', expected '<mean> <variance>'"),
    "empty": ("wav.scp", [], "no utterance is left"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(tmp_path, case):
    name, lines, message = BAD_TABLES[case]
    utt_ids = [line.split()[0] for line in lines] if name == "wav.scp" else ["a", "b"]
    folder = make_set(tmp_path / "x", utt_ids)
    write(folder, name, lines)
    with pytest.raises(UserError, match=message):
        build_index(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["format.json", "utt2num_samples", "utt2stats", "wav.scp"]


def test_stages_out_of_order(tmp_path):
    folder = make_set(tmp_path / "x")
    with pytest.raises(UserError, match="no index here; run stage 6"):
        AudioIndex.open(folder)
    (folder / "utt2num_samples").unlink()
    with pytest.raises(UserError, match="run stages 3 and 4"):
        build_index(folder)
    (folder / "format.json").unlink()
    with pytest.raises(UserError, match="run stages 3 and 4"):
        build_index(folder)


OPEN_MANY = """
import sys
from espnet2.data.index import open_indexes
def private():  # anonymous pages; those of the mapped files are the page cache's, shared and dropped at will
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Anonymous:", "Swap:")))
before = private()
index = open_indexes([sys.argv[1]])
for row in range(0, len(index), 97):
    index.path(row), index.utt_id(row), index.num_samples[row], index.mean[row]
assert index.find(index.utt_id(12345)) == 12345
print((private() - before) / len(index))
"""


def test_many_utterances_cost_little_time_and_memory(tmp_path):
    rows = 200_000
    folder = make_set(tmp_path / "x", [f"speaker{row // 100:05d}-utterance{row:07d}" for row in range(rows)])
    start = time.process_time()
    build_index(folder)
    assert time.process_time() - start < 30 * rows / 1_000_000
    if sys.platform == "linux":
        done = subprocess.run(
            [sys.executable, "-c", OPEN_MANY, str(folder)], capture_output=True, text=True, check=True, timeout=120
        )
        assert float(done.stdout) < 64  # bytes of private memory per utterance
