"""Data directories in, what tools do that recipes of Kaldi and ESPnet call out; the numbers are Kaldi's own."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from data_directory import keys, tables

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str, Mapping[str, str]], Path]


@pytest.fixture
def segmented() -> dict[str, str]:
    """Two recordings, four utterances of two speakers."""
    return {
        "utt2spk": "s1-a s1\ns1-b s1\ns1-c s1\ns2-d s2\n",
        "spk2utt": "s1 s1-a s1-b s1-c\ns2 s2-d\n",
        "wav.scp": "r1 x/r1.wav\nr2 x/r2.wav\n",
        "segments": "s1-a r2 12.5 14\ns1-b r1 0 2.5\ns1-c r2 2 4.25\ns2-d r1 3 4\n",
        "reco2dur": "r1 5\nr2 20\n",
        "text": "s1-a one two\ns1-b three\ns1-c four\ns2-d five\n",
        "spk2gender": "s1 f\ns2 m\n",
    }


def done(result: "subprocess.CompletedProcess[str]") -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_speakers_are_cut_by_seconds(run: Run, write: Write, segmented: dict[str, str]) -> None:
    write("a", segmented)
    assert "number of speakers changed from 2 to 3" in done(
        run("data/modify_speaker_info.sh", "--seconds-per-spk-max", "4", "a", "b")
    )
    data = tables(write("b", {}))
    assert data["utt2spk"] == "s1-a s1-1\ns1-b s1-1\ns1-c s1-2\ns2-d s2-1\n"
    assert data["spk2utt"] == "s1-1 s1-a s1-b\ns1-2 s1-c\ns2-1 s2-d\n"
    assert data["segments"] == segmented["segments"] and "spk2gender" not in data


def test_speakers_are_cut_by_number_or_mixed(run: Run, write: Write, segmented: dict[str, str]) -> None:
    write("a", segmented)
    done(run("data/modify_speaker_info.sh", "--utts-per-spk-max", "2", "--respect-speaker-info", "false", "a", "b"))
    assert tables(write("b", {}))["utt2spk"] == "s1-a speaker-1\ns1-b speaker-1\ns1-c speaker-2\ns2-d speaker-2\n"
    for options in ([], ["--utts-per-spk-max", "x"], ["--seconds-per-spk-max", "0"]):
        result = run("data/modify_speaker_info.sh", *options, "a", "c")
        assert result.returncode == 1 and "Traceback" not in result.stderr
    assert not (write("", {}) / "c").exists()


def test_volumes_are_kaldis(run: Run, write: Write) -> None:
    wav = "a x/a.wav\nb flac -c -d -s x/b.flac |\nc x/c.ark:17\nd x/d.flac\n"
    folder = write("a", {"wav.scp": wav, "feats.scp": "a x\n"})
    done(run("data/perturb_data_dir_volume.sh", "--write-reco2vol", "volumes", "a"))
    lines = (folder / "wav.scp").read_text().splitlines()
    # random.seed(0); random.uniform(0.125, 2): Kaldi's own draws
    assert lines[0] == "a sox --vol 1.7082909716094652 -t wav x/a.wav -t wav - |"
    assert lines[1] == "b flac -c -d -s x/b.flac | sox --vol 1.546164505513067 -t wav - -t wav - |"
    assert lines[2] == "c wav-copy x/c.ark:17 - | sox --vol 0.9135717140578343 -t wav - -t wav - |"
    assert lines[3].startswith("d sox --vol 0.61") and " -t flac x/d.flac -t wav - |" in lines[3]
    assert (folder.parent / "volumes").read_text().splitlines()[0] == "a 1.7082909716094652"
    assert not (folder / "feats.scp").exists() and (folder / ".backup" / "feats.scp").exists()
    assert "changes the volume already" in done(run("data/perturb_data_dir_volume.sh", "a"))


def test_given_volumes(run: Run, write: Write) -> None:
    folder = write("a", {"wav.scp": "a x/a.wav\nb x/b.wav\n", "volumes": "a 0.5\n"})
    result = run("data/perturb_data_dir_volume.sh", "--reco2vol", "a/volumes", "a")
    assert result.returncode == 1 and "has no volume of 'b'" in result.stderr
    write("a", {"volumes": "a 0.5\nb 2\n"})
    done(run("data/perturb_data_dir_volume.sh", "--reco2vol", "a/volumes", "a"))
    assert (folder / "wav.scp").read_text().splitlines()[1] == "b sox --vol 2.0 -t wav x/b.wav -t wav - |"


def test_whole_recordings(run: Run, write: Write, segmented: dict[str, str]) -> None:
    write("a", segmented)
    write("b", {"segments": "old x 1 2\n", "cmvn.scp": "old x\n"})
    done(run("data/convert_data_dir_to_whole.sh", "a", "b"))
    data = tables(write("b", {}))
    assert data["utt2spk"] == "r1 r1\nr2 r2\n" and data["wav.scp"] == segmented["wav.scp"]
    assert data["text"] == "r1 three five\nr2 four one two\n"  # by time, as numbers: Kaldi's compares them as text
    assert "segments" not in data and "cmvn.scp" not in data


def test_subsegments(run: Run, write: Write, segmented: dict[str, str], good: dict[str, str]) -> None:
    write("a", segmented)
    write("", {"parts": "s1-a-1 s1-a 0 0.5\ns1-b-1 s1-b 0.25 1\n", "words": "s1-a-1 one\ns1-b-1 three\n"})
    done(run("data/subsegment_data_dir.sh", "--segment-end-padding", "0.1", "a", "parts", "words", "b"))
    data = tables(write("b", {}))
    assert data["segments"] == "s1-a-1 r2 12.5 13.1\ns1-b-1 r1 0.25 1.1\n"
    assert data["utt2spk"] == "s1-a-1 s1\ns1-b-1 s1\n" and data["text"] == "s1-a-1 one\ns1-b-1 three\n"
    write("whole", good)
    write("", {"parts": "s1-a-1 s1-a 0 0.5\n"})
    done(run("data/subsegment_data_dir.sh", "whole", "parts", "c"))
    assert tables(write("c", {}))["segments"] == "s1-a-1 s1-a 0 0.5\n"


@pytest.mark.parametrize(
    ("parts", "words", "message"),
    [
        ("x s1-a 0 1\n", "y one\n", "same first fields"),
        ("x s9-z 0 1\n", "", "no utterance 's9-z'"),
        ("x s1-a 1 1\n", "", "parts:1: expected"),
        ("x s1-a 1\n", "", "parts:1: expected"),
        ("x s1-a one 2\n", "", "parts:1: expected"),
    ],
)
def test_bad_subsegments(
    run: Run, write: Write, segmented: dict[str, str], parts: str, words: str, message: str
) -> None:
    write("a", segmented)
    write("", {"parts": parts, "words": words})
    result = run("data/subsegment_data_dir.sh", "a", "parts", *(["words"] if words else []), "b")
    assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr
    assert not (write("", {}) / "b").exists()


def test_training_and_validation_speakers(run: Run, write: Write) -> None:
    speakers = [f"s{number:02}" for number in range(20)]
    utt2spk = "".join(f"{speaker}-{part} {speaker}\n" for speaker in speakers for part in "ab")
    spk2utt = "".join(f"{speaker} {speaker}-a {speaker}-b\n" for speaker in speakers)
    write("a", {"utt2spk": utt2spk, "spk2utt": spk2utt})
    done(run("subset_data_dir_tr_cv.sh", "--cv-spk-percent", "15", "a", "train", "cv"))
    validation = keys(tables(write("cv", {}))["spk2utt"])
    assert validation == ["s01", "s04", "s18"]  # Kaldi's for its seed of 777
    assert keys(tables(write("train", {}))["spk2utt"]) == [name for name in speakers if name not in validation]
    write("", {"list": "s03\n"})
    done(run("subset_data_dir_tr_cv.sh", "--cv-spk-list", "list", "a", "train", "cv"))
    assert tables(write("cv", {}))["utt2spk"] == "s03-a s03\ns03-b s03\n"
    assert run("subset_data_dir_tr_cv.sh", "--cv-spk-percent", "1", "a", "train", "cv").returncode == 1


def test_data_links(run: Run, write: Write) -> None:
    assert done(run("create_data_link.pl", "exp/egs.1.ark")) == ""  # no storage, no link
    folder = write("exp", {})
    for number in (1, 2, 3):
        write(f"exp/storage/{number}", {})
    done(run("create_data_link.pl", "exp/egs.3.4.ark", "exp/egs.1.ark"))
    assert (folder / "egs.3.4.ark").readlink() == Path("storage/3/egs.3.4.ark")  # (3 * 1 + 4 * 2) % 3 + 1
    assert (folder / "egs.1.ark").readlink() == Path("storage/2/egs.1.ark")
    assert "is not in exp" in run("create_data_link.pl", "exp/a.ark", "b.ark").stderr


def test_segments_are_extended(run: Run) -> None:
    segments = "u1 r1 0.05 1.2\nu2 r1 1.3 2\nu3 r2 100.123456789 101\nu4 r2 102 -1\n"
    result = run("data/extend_segment_times.py", "--start-padding=0.15", "--end-padding=0.1", stdin=segments)
    assert done(result) == "u1 r1 0 1.225\nu2 r1 1.225 2.1\nu3 r2 99.973457 101.1\nu4 r2 101.85 -1\n"
    assert "extended 4 segments; fixed 1 overlapping" in result.stderr
    assert "standard input:1: expected" in run("data/extend_segment_times.py", stdin="u1 r1 0\n").stderr


def test_reduced_directory(run: Run, write: Write, good: dict[str, str]) -> None:
    write("a", good)
    write("", {"list": "s1-b\ns2-c\n"})
    done(run("reduce_data_dir.sh", "a", "list", "b"))
    assert keys(tables(write("b", {}))["wav.scp"]) == ["s1-b", "s2-c"]


def test_channels_are_mixed(run: Run, write: Write) -> None:
    write("", {"1": "a x1.wav\nb y1.wav\n", "2": "a x2.wav\nb y2.wav\n", "short": "a x3.wav\n", "other": "a z\nc z\n"})
    assert done(run("mix-mono-wav-scp.py", "1", "2")).splitlines()[1] == "b sox -M y1.wav y2.wav -c 2 -t wav - |"
    assert "different numbers of lines" in run("mix-mono-wav-scp.py", "1", "short").stderr
    assert "other:2: key 'c' where 1:2 has 'b'" in run("mix-mono-wav-scp.py", "1", "other").stderr


def test_text_without_punctuation_and_as_letters(run: Run, write: Write) -> None:
    text = 'id1 "Hello, <space> it\'s" $5 \u2014 \u201ex\u201c!\n'
    assert done(run("remove_punctuation.pl", stdin=text)) == "id1 Hello <space> it's 5 x\n"
    write("", {"symbols": "<N>\n"})
    line = "id1 h\u00e9llo <N> you\n"
    assert done(run("text2token.py", "-s", "1", "-n", "1", stdin=line)).startswith(
        "id1 h \u00e9 l l o <space> < N > <space>"
    )
    made = done(run("text2token.py", "-s", "1", "-n", "2", "-l", "symbols", stdin=line))
    assert made == "id1 h\u00e9 ll o<space> <N><space> yo u\n"
    assert done(run("text2token.py", "-s", "1", "-t", "phn", stdin="id1 sil a b\n")) == "id1 <space> a b\n"
