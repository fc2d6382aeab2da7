"""Stage 4: what is kept, what travels, and that dump/<set>/text is left alone."""

import json

import pytest

from espnet2.data.format.filter import DurationLimits, describe, filter_by_duration
from espnet2.utils.errors import UserError

LENGTHS = {"a": 1599, "b": 1600, "c": 32000, "d": 320000, "e": 320001}  # samples at 16 kHz
LIMITS = DurationLimits(0.1, 20)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "dump" / "org" / "x"
    folder.mkdir(parents=True)
    tables = {
        "wav.scp": [f"{utt} dump/org/x/audio/{utt}.flac" for utt in LENGTHS],
        "utt2num_samples": [f"{utt} {count}" for utt, count in LENGTHS.items()],
        "utt2stats": [f"{utt} 0 1" for utt in LENGTHS],
        "utt2spk": ["a s2", "b s2", "c s1", "d s2", "e s3"],
        "transcript": ["a eins", "c drei", "e"],
        "phones.ctm": ["a 1 0 1 x", "c 1 0 1 y", "c 1 1 1 z", "e 1 0 1 x"],
    }
    for name, lines in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    (folder / "format.json").write_text(json.dumps({"sample_rate": 16000, "root": "../../..", "hash": "x"}))
    return folder


def text(folder, name):
    return (folder / name).read_text()


def test_limits_are_kept_themselves(source, tmp_path):
    target = tmp_path / "dump" / "x"
    properties = filter_by_duration(source, target, LIMITS)
    assert text(target, "utt2num_samples") == "b 1600\nc 32000\nd 320000\n"
    assert text(target, "wav.scp").split()[::2] == text(target, "utt2stats").split()[::3] == ["b", "c", "d"]
    assert text(target, "utt2spk") == "b s2\nc s1\nd s2\n"
    assert text(target, "spk2utt") == "s1 c\ns2 b d\n"
    assert text(target, "transcript") == "c drei\n"
    assert text(target, "phones.ctm") == "c 1 0 1 y\nc 1 1 1 z\n"
    assert json.loads(text(target, "format.json"))["root"] == "../.."
    line = describe(target, properties, LIMITS)
    assert "kept 3 (0.01 h)" in line and "1 (0.00 h) below 0.1 s" in line and "1 (0.01 h) above 20 s" in line


def test_training_targets_are_never_touched(source, tmp_path):
    target = tmp_path / "dump" / "x"
    target.mkdir()
    (target / "text").write_text("b 1 2 3\n")
    filter_by_duration(source, target, LIMITS)
    filter_by_duration(source, target, DurationLimits(1, 20))
    assert text(target, "text") == "b 1 2 3\n"
    assert text(target, "wav.scp").split()[::2] == ["c", "d"]


def test_unchanged_input_is_not_done_again(source, tmp_path):
    target = tmp_path / "x"
    first = filter_by_duration(source, target, LIMITS)
    inode = (target / "wav.scp").stat().st_ino
    assert filter_by_duration(source, target, LIMITS) == first
    assert (target / "wav.scp").stat().st_ino == inode
    (source / "transcript").unlink()
    filter_by_duration(source, target, LIMITS)
    assert not (target / "transcript").exists()


def test_cut_cards_are_made_again_or_named(source, tmp_path):
    target = tmp_path / "x"
    properties = filter_by_duration(source, target, LIMITS)
    (target / "filter.json").write_text('{"hash": ')
    assert filter_by_duration(source, target, LIMITS) == properties
    (source / "format.json").write_text('{\n"sample_rate": 16')
    with pytest.raises(UserError, match=r"format.json:2: damaged or cut short .*: run stages 3 and 4 again"):
        filter_by_duration(source, target, LIMITS)


def test_errors_write_nothing(source, tmp_path):
    for limits, message in (
        (DurationLimits(30, 40), r"no utterance lasts 30 to 40 s \(5 are shorter, 0 longer\)"),
        (DurationLimits(3, 2), "expected 0 <= min < max"),
        (DurationLimits(float("nan"), 2), "expected 0 <= min < max"),
    ):
        with pytest.raises(UserError, match=message):
            filter_by_duration(source, tmp_path / "x", limits)
    with pytest.raises(UserError, match="same folder"):
        filter_by_duration(source, source, LIMITS)
    (source / "phones.ctm").write_text("c 1 0 1 y\na 1 0 1 x\n")
    with pytest.raises(UserError, match=r"phones.ctm:2: 'a' comes after 'c'"):
        filter_by_duration(source, tmp_path / "x", LIMITS)
    assert not (tmp_path / "x").exists() or not list((tmp_path / "x").iterdir())
    (source / "format.json").unlink()
    with pytest.raises(UserError, match="run stage 3"):
        filter_by_duration(source, tmp_path / "y", LIMITS)
