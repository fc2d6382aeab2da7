"""Stage 3 of audio that is not what its header says: what is taken, what is rejected, and that it is said once."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from odd_audio import COUNT, PCM, RATE, WAVE, flac_with_total, mp3, put, riff
from stage3 import FLAC, make_data, run, samples_of

from espnet2.data.format.merge import describe, merge_format
from espnet2.data.format.plan import FormatOptions, work_hash
from espnet2.utils.errors import UserError


def rejected(output: Path) -> dict[str, str]:
    lines = (output / "rejected.tsv").read_text().splitlines()
    return {line.split("\t")[0]: " ".join(line.split("\t")[1:]) for line in lines}


def test_more_and_less_than_the_headers_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = {
        "a": put(tmp_path / "a.wav", riff()),
        "b": put(tmp_path / "b.wav", riff(data_size=16000)),
        "c": f"cat {put(tmp_path / 'c.flac', flac_with_total(8000))} |",
        "d": put(tmp_path / "d.wav", riff()[:-320]),
        "e": put(tmp_path / "e.wav", riff()[:30000]),
        "f": put(tmp_path / "f.mp3", mp3(WAVE) * 2),
    }
    data = make_data(tmp_path / "data", entries)
    properties = run(data, tmp_path / "out", max_rejected_ratio=0.2)
    lengths = {utt: len(samples) for utt, samples in samples_of(tmp_path / "out").items()}
    assert lengths == {"a": COUNT, "b": COUNT, "c": COUNT, "d": COUNT - 160, "f": 2 * COUNT}
    assert rejected(tmp_path / "out")["e"].startswith("truncated ")
    assert (properties["num_longer"], properties["num_shorter"]) == (3, 1)
    describe(tmp_path / "out", properties)
    told = capsys.readouterr().err
    assert (
        "3 recordings hold more than their headers say: all of it was taken (b lasts 2.000 s, by its header 0.500 s)"
        in told
    )
    assert "1 recordings are shorter than their headers say and were kept" in told
    options = FormatOptions(RATE, "flac", keep_truncated=True)
    assert run(data, tmp_path / "kept", options)["num_rejected"] == 0
    assert len(samples_of(tmp_path / "kept")["e"]) == (30000 - 44) // 2


def test_a_flac_without_a_length_is_not_copied_as_it_is(tmp_path: Path) -> None:
    data = make_data(
        tmp_path / "data", {"a": put(tmp_path / "a.flac", flac_with_total(0, np.rint(WAVE * 32767) / 32768))}
    )
    run(data, tmp_path / "out")
    assert soundfile.info((tmp_path / "out" / "wav.scp").read_text().split()[1]).frames == COUNT
    assert np.abs(samples_of(tmp_path / "out")["a"] * 32768 - np.rint(WAVE * 32767)).max() <= 1


@pytest.mark.parametrize(
    ("scale", "subtype"), [(32768, "FLOAT"), (32768, "DOUBLE"), (1 << 23, "FLOAT"), (100, "FLOAT"), (10, "DOUBLE")]
)
def test_floats_of_another_range(tmp_path: Path, scale: int, subtype: str) -> None:
    wave = np.r_[WAVE, np.zeros(50 * COUNT if scale > 1000 else 0)]  # mostly silence: few samples are beyond 1
    soundfile.write(tmp_path / "a.wav", wave * scale, RATE, subtype=subtype)
    soundfile.write(tmp_path / "b.wav", WAVE, RATE)
    data = make_data(tmp_path / "data", {"a": tmp_path / "a.wav", "b": tmp_path / "b.wav"})
    run(data, tmp_path / "out", max_rejected_ratio=0.5)
    reason = rejected(tmp_path / "out")["a"]
    assert reason.startswith("clipped ") and f"--float_full_scale {max(32768, scale)}" in reason
    run(data, tmp_path / "scaled", FormatOptions(RATE, "flac", float_full_scale=scale))
    got = samples_of(tmp_path / "scaled")
    assert np.abs(got["a"][:COUNT] - WAVE).max() < 1e-4 and np.abs(got["b"] - WAVE).max() < 1e-4


def test_a_few_loud_samples_are_clipped_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loud = WAVE.copy()
    loud[:320] = 1.25
    for name, subtype in (("a", "FLOAT"), ("b", "PCM_16")):
        soundfile.write(tmp_path / f"{name}.wav", loud, RATE, subtype=subtype)
    properties = run(make_data(tmp_path / "data", {name: tmp_path / f"{name}.wav" for name in "ab"}), tmp_path / "out")
    assert (tmp_path / "out" / "utt2clipped").read_text() == "a 0.01\n"
    describe(tmp_path / "out", properties)
    assert "1 utterances were clipped at full scale, 0.005 of all samples" in capsys.readouterr().err
    soundfile.write(tmp_path / "a.wav", WAVE, RATE)
    run(tmp_path / "data", tmp_path / "out")
    assert not (tmp_path / "out" / "utt2clipped").exists()


def test_a_silent_channel_names_another(tmp_path: Path) -> None:
    silent = np.zeros(COUNT)
    for name, channels in {"a": (silent, WAVE), "b": (silent, silent, WAVE), "c": (silent, silent)}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.stack(channels, 1), RATE)
    entries = {name: tmp_path / f"{name}.wav" for name in "abc"} | {"d": f"sox {tmp_path}/a.wav -t wav - remix 1 |"}
    good = put(tmp_path / "e.wav", riff())
    run(make_data(tmp_path / "data", {**entries, "e": good}), tmp_path / "out", max_rejected_ratio=0.9)
    reasons = rejected(tmp_path / "out")
    assert "channel 0 (from 0) of 2; --channel 1" in reasons["a"] and "--channel 2" in reasons["b"]
    assert "as in the others of 2" in reasons["c"] and "--channel 1" in reasons["d"]
    data = make_data(tmp_path / "two", {"a": tmp_path / "a.wav"})
    run(data, tmp_path / "second", FormatOptions(RATE, "flac", 1))
    assert len(samples_of(tmp_path / "second")["a"]) == COUNT


def test_options_that_are_left_alone_leave_the_hash_of_old_dumps(tmp_path: Path) -> None:
    """The hash of a set that an earlier version formatted, from the same tables."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "wav.scp").write_text("a false |\n")
    assert work_hash(tmp_path / "data", FLAC) == "285071cfd80adfe2"
    assert work_hash(tmp_path / "data", FormatOptions(16000, "flac", truncation_tolerance=0.2)) != work_hash(
        tmp_path / "data", FLAC
    )


MISTAKES = [("--truncation_tolerance", "-1"), ("--truncation_tolerance", "nan"), ("--float_full_scale", "0"),
            ("--float_full_scale", "inf"), ("--max_clipped_ratio", "2"), ("--keep_truncated", "yes")]  # fmt: skip


@pytest.mark.parametrize("options", MISTAKES)
def test_mistakes_in_the_options(tmp_path: Path, options: tuple[str, str]) -> None:
    data = make_data(tmp_path / "data", {"a": put(tmp_path / "a.wav", riff())})
    command = [
        sys.executable,
        "-m",
        "espnet2.bin.ssl_format_audio",
        "--prepare",
        *options,
        str(data),
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and options[0] in done.stderr and "Traceback" not in done.stderr


def test_jobs_read_the_options_from_the_plan(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", {"a": put(tmp_path / "a.wav", riff(PCM)[:30000])})
    options = ["--keep_truncated", "true", "--truncation_tolerance", "0.3"]
    for program, more in (("ssl_format_audio", ["--prepare", *options]), ("ssl_format_audio", []),
                          ("ssl_merge_format", ["--num_jobs", "1", *options])):  # fmt: skip
        command = [sys.executable, "-m", f"espnet2.bin.{program}", *more, str(data), str(tmp_path / "out")]
        subprocess.run(command, check=True, capture_output=True)
    assert json.loads((tmp_path / "out" / "format.json").read_text())["total_samples"] == 14978
    with pytest.raises(UserError, match=r"run stage 3 again"):
        merge_format(data, tmp_path / "out", FLAC, 0, 0.01)
