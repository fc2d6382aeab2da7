"""validate_data_dir.sh: good and damaged directories in, exit code and file:line out."""

import os
import subprocess
import sys

import pytest
from repository import ROOT

ALL = ("--no-feats",)


def test_a_good_directory_passes(run, write, good) -> None:
    write("data/a b", good)
    result = run("validate_data_dir.sh", *ALL, "data/a b")
    expected = "validate_data_dir.sh: Successfully validated data-directory data/a b\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, expected, "")


def test_segments_pass(run, write, good) -> None:
    good["segments"] = "s1-a r1 0 1\ns1-b r1 1 3.5\ns2-c r2 0.1 1\ns2-d r2 2 5\n"
    good["wav.scp"] = "r1 a.wav\nr2 b.wav\n"
    good["reco2dur"] = "r1 9\nr2 9\n"
    write("d", good)
    result = run("validate_data_dir.sh", *ALL, "d")
    assert result.returncode == 0, result.stderr


REQUIRED = [("feats.scp", "--no-feats"), ("text", "--no-text"), ("wav.scp", "--no-wav")]


@pytest.mark.parametrize(("name", "option"), REQUIRED)
def test_required_tables(run, write, good, name, option) -> None:
    good["feats.scp"] = "s1-a f:1\ns1-b f:2\ns2-c f:3\ns2-d f:4\n"
    del good[name]
    write("d", good)
    result = run("validate_data_dir.sh", "d")
    assert result.returncode == 1 and f"no such file d/{name}" in result.stderr and option in result.stderr
    assert run("validate_data_dir.sh", option, "d").returncode == 0


def test_no_text_leaves_text_alone(run, write, good) -> None:
    write("d", {**good, "text": "nothing <s> of\xa0use\r\n"})
    assert run("validate_data_dir.sh", "--no-feats", "--no-text", "d").returncode == 0
    assert run("validate_data_dir.sh", "--no-feats", "d").returncode == 1


FAULTS = [
    # table, new content, part of the message
    ("utt2spk", "s1-b s1\ns1-a s1\ns2-c s2\ns2-d s2\n", "d/utt2spk:2: 's1-a' after 's1-b' is not in sorted order"),
    ("utt2spk", "s1-a s1\ns1-a s1\ns2-c s2\ns2-d s2\n", "d/utt2spk:2: duplicate key 's1-a'"),
    ("utt2spk", "s1-a s1\ns1-b\ns2-c s2\ns2-d s2\n", "d/utt2spk:2: expected 'utterance speaker', got 's1-b'"),
    ("utt2spk", "s1-a s1\n\ns2-c s2\ns2-d s2\n", "d/utt2spk:2: empty line"),
    ("utt2spk", "", "empty file d/utt2spk"),
    ("utt2spk", "s1-a s1\ns1-b s3\ns2-c s2\ns2-d s2\n", "not in sorted order when sorted first by speaker"),
    ("spk2utt", "s1 s1-a s1-b s2-c\ns2 s2-d\n", "d/spk2utt:1: utt2spk does not give 's2-c' to speaker 's1'"),
    ("spk2utt", "s1 s1-a s1-b\ns2 s2-d\n", "it has 3 utterances, utt2spk has 4"),
    ("text", "s1-a x\ns1-b y\ns2-c z\n", "only in utt2spk (1): s2-d"),
    ("text", "s1-a x\ns1-b y\ns2-c z\ns2-d 1\ns2-e 2\n", "only in text (1): line 5 s2-e"),
    ("text", "s1-a x\r\ns1-b y\r\ns2-c z\r\ns2-d 1\r\n", "d/text:1: carriage return"),
    ("text", "s1-a x\ns1-b a\xa0b\ns2-c z\ns2-d 1\n", "d/text:2: white space other than space and tab: U+00A0"),
    ("text", "s1-a x\ns1-b y\ns2-c \x01\ns2-d 1\n", "d/text:3: non-printable character: U+0001"),
    ("text", "s1-a <s> x\ns1-b y\ns2-c z\ns2-d 1\n", "d/text:1: illegal symbol <s>"),
    ("text", "s1-a x\ns1-b y\ns2-c z\ns2-d 1", "d/text:4: the last line has no newline"),
    ("text", "\ufeffs1-a x\ns1-b y\ns2-c z\ns2-d 1\n", "d/text:1: starts with a byte order mark"),
    ("wav.scp", "s1-a ~/a.wav\ns1-b b\ns2-c c\ns2-d d\n", "d/wav.scp:1: write the path out"),
    ("wav.scp", "s1-a a\ns1-b\ns2-c c\ns2-d d\n", "d/wav.scp:2: no file or command"),
    ("wav.scp", "s1-a a\ns1-b b\ns2-c c\n", "only in utt2spk (1): s2-d"),
    ("segments", "s1-a r 0 1\ns1-b r 2 2\ns2-c r 0 1\ns2-d r 0 1\n", "d/segments:2: the end 2 is not after"),
    ("segments", "s1-a r 0 1\ns1-b r 2\n", "d/segments:2: expected 'utterance recording begin end'"),
    ("segments", "s1-a r 0 1\ns1-b r 1 2\ns2-c r 0 1\ns2-d q 0 1\n", "only in segments (2): q, r"),
    ("spk2gender", "s1 f\ns2 x\n", "d/spk2gender:2: expected 'speaker m|f', got 's2 x'"),
    ("spk2gender", "s1 f\n", "only in spk2utt (1): s2"),
    ("utt2lang", "s1-a en\ns1-b de\n", "only in utt2spk (2): s2-c, s2-d"),
    ("utt2dur", "s1-a 1\ns1-b 0\ns2-c 1\ns2-d 1\n", "d/utt2dur:2: expected 'utterance seconds (above 0)'"),
    ("utt2num_samples", "s1-a 1\ns1-b 2.5\ns2-c 1\ns2-d 1\n", "d/utt2num_samples:2"),
    ("phones.ctm", "s1-a 1 0.0 0.5 x\nzz 1 0.0 0.5 y\n", "d/phones.ctm:2: 'zz' is not in utt2spk"),
    ("phones.ctm", "s1-b 1 0.0 0.5 x\ns1-a 1 0.0 0.5 y\n", "d/phones.ctm:2: 's1-a' after 's1-b'"),
]


@pytest.mark.parametrize(("name", "content", "message"), FAULTS)
def test_fault(run, write, good, name, content, message) -> None:
    write("d", {**good, name: content})
    result = run("validate_data_dir.sh", *ALL, "d")
    assert result.returncode == 1 and result.stdout == ""
    assert message in result.stderr and "Traceback" not in result.stderr


def test_text_that_is_not_utf8(run, write, good, tmp_path) -> None:
    write("d", good)
    (tmp_path / "d" / "text").write_bytes(b"s1-a x\ns1-b caf\xe9\n")
    assert "d/text:2: not UTF-8 (byte 0xe9)" in run("validate_data_dir.sh", *ALL, "d").stderr


def test_options_that_allow_more(run, write, good) -> None:
    good["utt2spk"] = "s1-a s9\ns1-b s1\ns2-c s2\ns2-d s2\n"
    good["spk2utt"] = "s1 s1-b\ns2 s2-c s2-d\ns9 s1-a\n"
    good["spk2gender"] = "s1 f\ns2 m\ns9 f\n"
    good["text"] = good["text"].replace("drei", "\x01")
    write("d", good)
    assert run("validate_data_dir.sh", *ALL, "--no-spk-sort", "d").returncode == 1
    assert run("validate_data_dir.sh", "--non-print", *ALL, "d").returncode == 1
    assert run("validate_data_dir.sh", "--no-spk-sort", "--non-print", *ALL, "d").returncode == 0


def test_order_is_that_of_bytes_whatever_the_locale(run, write) -> None:
    write("d", {"utt2spk": "B s\na s\né s\n", "spk2utt": "s B a é\n", "wav.scp": "B 1\na 2\né 3\n"})
    result = run("validate_data_dir.sh", "--no-feats", "--no-text", "d", environment={"LC_ALL": "en_US.UTF-8"})
    assert result.returncode == 0 and "one speaker only" in result.stderr


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("--no-feets", "d"), ("nowhere",)])
def test_usage(run, arguments) -> None:
    result = run("validate_data_dir.sh", *arguments)
    assert result.returncode == 1 and result.stderr and "Traceback" not in result.stderr


def test_spk2utt_may_name_utterances_in_any_order(run, write, good) -> None:
    good["spk2utt"] = "s1 s1-b s1-a\ns2 s2-c s2-d\n"
    write("d", good)
    assert run("validate_data_dir.sh", *ALL, "d").returncode == 0
    good["spk2utt"] = "s1 s1-b s2-d s1-a\ns2 s2-c s1-a\n"  # the first wrong word is named, not the first by name
    write("d", good)
    assert "d/spk2utt:1: utt2spk does not give 's2-d' to speaker 's1'" in run("validate_data_dir.sh", *ALL, "d").stderr


def test_the_worst_fault_is_told_first_and_of_many_differences_three(run, write, good) -> None:
    good["text"] = "s2-d x\ns1-a y\r\n\ns1-b y"
    write("d", good)
    assert "d/text:2: carriage return" in run("validate_data_dir.sh", *ALL, "d").stderr
    good["text"] = "".join(f"t{number} x\n" for number in range(5))
    write("d", good)
    message = run("validate_data_dir.sh", *ALL, "d").stderr
    assert "only in utt2spk (4): s1-a, s1-b, s2-c, ...\n" in message
    assert "only in text (5): line 1 t0, line 2 t1, line 3 t2, ...\n  (5 keys against 4;" in message


MEASURE = """
import sys, tracemalloc
sys.path.insert(0, sys.argv[1])
import validate
tracemalloc.start()
validate.main(sys.argv[2:])
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_directory(tmp_path) -> None:
    """20,000 segments: 14 MB where tables are held, which is gigabytes for a large corpus."""
    number = 20_000
    names = [f"s{row // 500:02d}-{row:06d}" for row in range(number)]
    tables = {
        "utt2spk": "".join(f"{name} {name[:3]}\n" for name in names),
        "spk2utt": "".join(f"s{row:02d} {' '.join(names[500 * row : 500 * row + 500])}\n" for row in range(40)),
        "segments": "".join(f"{name} r{row // 10:06d} 0 1\n" for row, name in enumerate(names)),
        "wav.scp": "".join(f"r{row:06d} a.wav\n" for row in range(number // 10)),
        "text": "".join(f"{name} some words\n" for name in names),
        "phones.ctm": "".join(f"{name} 1 {start} 1 a\n" for name in names for start in (0, 1)),
    }
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-SE", "-c", MEASURE, str(ROOT / "utils/datadir"), *ALL, str(tmp_path)]
    measured = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    assert int(measured.stdout.split()[-1]) < 2_000_000
