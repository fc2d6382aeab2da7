"""Stage 3: rejected audio, limits, resuming, changed input, and the mistakes of users."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from stage3 import FLAC, make_corpus, make_data, noise, run, samples_of, write_lines

from espnet2.data.format.convert import Shard, format_shard
from espnet2.data.format.merge import merge_format
from espnet2.data.format.plan import FormatOptions, parse_sample_rate, prepare, work_hash
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table


@pytest.mark.parametrize("audio_format", ["wav", "flac.ark"])
def test_rejected_audio_leaves_nothing_in_the_output(tmp_path, audio_format):
    data = make_corpus(tmp_path, 4)
    soundfile.write(tmp_path / "wav" / "1.wav", np.zeros(5000), 16000)
    whole = (tmp_path / "wav" / "2.wav").read_bytes()
    (tmp_path / "wav" / "2.wav").write_bytes(whole[:-4000])
    run(data, tmp_path / "out", FormatOptions(16000, audio_format), max_rejected_ratio=0.5)
    assert [line.split("\t")[:2] for line in (tmp_path / "out" / "rejected.tsv").read_text().splitlines()] == [
        ["u1", "silent"],
        ["u2", "truncated"],
    ]
    got = samples_of(tmp_path / "out")
    assert [np.array_equal(got[f"u{n}"] * 32768, noise(n, 3000 + 1000 * n)) for n in (0, 3)] == [True, True]
    assert not any("part" in path.name or path.name.startswith(".") for path in (tmp_path / "out").rglob("*"))


def test_too_many_rejections_stop_the_stage(tmp_path):
    data = make_corpus(tmp_path, 10)
    for number in range(7):
        (tmp_path / "wav" / f"{number}.wav").unlink()
    with pytest.raises(UserError) as caught:
        run(data, tmp_path / "out", jobs=3, max_rejected_ratio=0.69)
    message = str(caught.value)
    assert "7 of 10 utterances (70 %)" in message and "--max_rejected_ratio 0.69" in message
    assert all(f"u{number}  missing  {tmp_path}/wav/{number}.wav" in message for number in range(5))
    assert "u5" not in message
    assert not any((tmp_path / "out" / name).exists() for name in ("wav.scp", "utt2num_samples", "format.json"))
    run(data, tmp_path / "out", jobs=3, max_rejected_ratio=0.7)
    assert len(read_table(tmp_path / "out" / "wav.scp")) == 3
    with pytest.raises(UserError, match="7 of 10"):  # a stricter limit counts for finished sets too
        run(data, tmp_path / "out", jobs=3)


def test_no_usable_audio_at_all(tmp_path):
    data = make_data(tmp_path / "data", {"a": tmp_path / "none.wav"})
    with pytest.raises(UserError, match="1 of 1 utterances"):
        run(data, tmp_path / "out", max_rejected_ratio=1.0)


def test_resuming(tmp_path):
    data, out = make_corpus(tmp_path), tmp_path / "out"
    assert prepare(data, out, FLAC, 3) == 3
    assert format_shard(data, Shard(out, 1, 3))
    with pytest.raises(UserError, match="job 2 of 3 did not finish"):
        merge_format(data, out, FLAC, 3, 0.01)
    assert prepare(data, out, FLAC, 3) == 3
    assert not format_shard(data, Shard(out, 1, 3))  # finished before
    assert format_shard(data, Shard(out, 2, 3)) and format_shard(data, Shard(out, 3, 3))
    merge_format(data, out, FLAC, 3, 0.01)
    assert prepare(data, out, FLAC, 5) == 0


CHANGES = {
    "option": lambda data: FormatOptions(8000, "flac"),
    "list": lambda data: write_lines(data / "wav.scp", (data / "wav.scp").read_text().splitlines()[:-1]),
    "audio": lambda data: soundfile.write(data.parent / "wav" / "3.wav", noise(99, 1234), 16000),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_the_stage_run_again(tmp_path, change):
    data, out = make_corpus(tmp_path), tmp_path / "out"
    run(data, out)
    options = CHANGES[change](data) or FLAC
    write_lines(data / "utt2spk", [f"{utt} u" for utt in read_table(data / "wav.scp")])
    assert prepare(data, out, options, 2) == 2
    assert not (out / "format.json").exists() and not (out / "audio").exists()
    run(data, out, options, jobs=2)
    files = {path.stem for path in (out / "audio").rglob("*.flac")}
    assert files == set(read_table(data / "wav.scp")) == set(read_table(out / "wav.scp"))


BAD_DATA = {
    "unsorted": ({"b": "x", "a": "y"}, {}, r"wav.scp:2: 'a' comes after 'b'.*fix_data_dir.sh"),
    "speaker missing": ({"a": "x", "b": "y"}, {"keys": "a"}, r"utt2spk:2: the file ends, expected 'b <speaker>'"),
    "speaker too many": ({"a": "x"}, {"keys": "ab"}, r"utt2spk:2: 'b' is not in wav.scp"),
    "segment without recording": ({"r": "x"}, {"segments": ["a q 0 1"], "keys": "a"}, r"segments:1: .*'q' is not in"),
    "segment malformed": ({"r": "x"}, {"segments": ["a r 0"], "keys": "a"}, r"segments:1: expected"),
    "segment backwards": ({"r": "x"}, {"segments": ["a r 2 1"], "keys": "a"}, r"segments:1: a starts at 2.0 s"),
    "empty": ({}, {}, "empty; stage 1"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_directories(tmp_path, case):
    entries, tables, message = BAD_DATA[case]
    data = make_data(tmp_path / "data", entries, **dict(tables))
    with pytest.raises(UserError, match=message):
        prepare(data, tmp_path / "out", FLAC, 1)
    assert not (tmp_path / "out").exists()


def test_bad_options(tmp_path):
    data = make_corpus(tmp_path, 1)
    for options in (FormatOptions(16000, "mp3"), FormatOptions(16000, "flac", -1)):
        with pytest.raises(UserError, match=r"--(audio_format mp3|channel -1)"):
            prepare(data, tmp_path / "out", options, 1)
    with pytest.raises(UserError, match="run stage 1"):
        prepare(tmp_path / "none", tmp_path / "out", FLAC, 1)
    with pytest.raises(UserError, match="same folder"):
        prepare(data, data, FLAC, 1)
    assert [parse_sample_rate(text) for text in ("16k", "8000", "44.1k")] == [16000, 8000, 44100]
    for text in ("", "k", "-8k", "16kHz", "0"):
        with pytest.raises(UserError, match="not a sample rate"):
            parse_sample_rate(text)


def test_names_that_cannot_be_file_names(tmp_path):
    utts = [".hidden", "a/b", "x" * 240]
    soundfile.write(tmp_path / "a.wav", noise(0), 16000)
    run(make_data(tmp_path / "data", dict.fromkeys(utts, tmp_path / "a.wav")), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*.flac")} == {f"row_00000000{n}.flac" for n in range(3)}
    assert list(samples_of(tmp_path / "out")) == utts


DISK_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
from espnet2.bin.ssl_format_audio import main
from espnet2.utils.errors import run_main
sys.argv = ["ssl_format_audio", sys.argv[1], sys.argv[2]]
run_main(main)
"""


@pytest.mark.parametrize("audio_format", ["wav", "flac", "wav.ark", "flac.ark"])
def test_a_full_disk_is_no_rejection(tmp_path, audio_format):
    soundfile.write(tmp_path / "a.wav", noise(0, 40000), 16000)
    data, out = make_data(tmp_path / "data", {"a": tmp_path / "a.wav"}), tmp_path / "out"
    prepare(data, out, FormatOptions(16000, audio_format), 1)
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, str(data), str(out)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "File too large" in done.stderr and "Traceback" not in done.stderr and "callback" not in done.stderr
    assert not list(out.rglob("done.json")) and not list(out.rglob("a.wav")) and not list(out.rglob("*.ark"))


def test_tables_are_checked_before_the_audio_is_decoded(tmp_path):
    data = make_corpus(tmp_path, 2)
    for name, content, message in (
        ("text", b"u0 eins\r\nu1 zwei\r\n", r"text:1: line ends in CR LF"),
        ("text", b"u0 eins\nu1 \xff\n", r"text:2: not UTF-8"),
        ("utt2lang", b"u1 de\nu0 de\n", r"utt2lang:2: 'u0' comes after 'u1'"),
        ("phones.ctm", b"u0 1 0 1 a\n\n", r"phones.ctm:2: empty line"),
    ):
        (data / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            prepare(data, tmp_path / "out", FLAC, 1)
        (data / name).unlink()
    assert not (tmp_path / "out").exists()


def test_the_state_of_the_files_behind_arks_and_pipes_counts(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(0), 16000)
    data = make_data(tmp_path / "data", {"a": f"flac -c -d -s {tmp_path}/a.flac |", "b": f"{tmp_path}/x.ark:12"})
    before = work_hash(data, FLAC)
    soundfile.write(tmp_path / "a.flac", noise(1, 5000), 16000)
    after = work_hash(data, FLAC)
    (tmp_path / "x.ark").write_bytes(b"x")
    assert len({before, after, work_hash(data, FLAC)}) == 3
