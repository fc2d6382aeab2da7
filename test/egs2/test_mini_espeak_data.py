"""mini_espeak's local/data.sh in; its sets, its phone times and its independence of --nj checked."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from repository import ROOT

LOCAL = ROOT / "egs2" / "mini_espeak" / "ssl1" / "local"
TABLES = {"wav.scp", "utt2spk", "spk2utt", "spk2gender", "text", "utt2lang", "phones.ctm"}
TOLERANCE = 1e-6  # seconds


def make_recipe(folder: Path, local: Path = LOCAL) -> Path:
    """A recipe folder with just what local/data.sh needs."""
    folder.mkdir(parents=True)
    (folder / "local").symlink_to(local)
    (folder / "utils").symlink_to(ROOT / "utils")
    (folder / "scripts").symlink_to(ROOT / "egs2/TEMPLATE/ssl1/scripts")
    return folder


def run(recipe: Path, *options: str, **environment: str) -> subprocess.CompletedProcess:
    """Run local/data.sh in `recipe` with this Python first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment}
    command = ["local/data.sh", *options]
    return subprocess.run(command, cwd=recipe, env=variables, capture_output=True, text=True, timeout=120)


def read_table(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """A recipe, in a folder with a space in its name, after `local/data.sh --smoke true --nj 1`."""
    folder = make_recipe(tmp_path_factory.mktemp("mini_espeak") / "a recipe")
    result = run(folder, "--smoke", "true", "--nj", "1")
    assert result.returncode == 0, result.stderr
    return folder


def bytes_of(recipe: Path) -> dict[str, bytes]:
    return {str(path.relative_to(recipe)): path.read_bytes() for path in recipe.glob("data/**/*") if path.is_file()}


def test_sets_have_all_tables_and_the_sizes_of_the_smoke_recipe(recipe: Path) -> None:
    for name, num_utterances, num_speakers in (("train", 16, 4), ("dev", 8, 2)):
        folder = recipe / "data" / f"{name}_smoke"
        assert {path.name for path in folder.iterdir()} >= TABLES
        assert len(read_table(folder / "wav.scp")) == num_utterances
        assert len(read_table(folder / "spk2utt")) == num_speakers
    assert not list((recipe / "data").glob(".new*"))


def test_speakers_of_train_and_dev_are_disjoint_and_of_both_genders(recipe: Path) -> None:
    genders = [read_table(recipe / "data" / f"{name}_smoke" / "spk2gender") for name in ("train", "dev")]
    assert not genders[0].keys() & genders[1].keys()
    assert all(set(one.values()) == {"m", "f"} for one in genders)


def test_bytes_do_not_depend_on_the_number_of_jobs(recipe: Path, tmp_path: Path) -> None:
    other = make_recipe(tmp_path / "other")
    assert run(other, "--smoke", "true", "--nj", "3").returncode == 0
    assert bytes_of(other) == bytes_of(recipe)


def test_phones_are_contiguous_and_fill_the_audio(recipe: Path) -> None:
    phones = defaultdict(list)
    for line in (recipe / "data" / "train_smoke" / "phones.ctm").read_text(encoding="utf-8").splitlines():
        name, channel, start, duration, phone = line.split()
        assert channel == "1"
        phones[name].append((float(start), float(duration), phone))
    paths = read_table(recipe / "data" / "train_smoke" / "wav.scp")
    assert phones.keys() == paths.keys()
    for name, path in paths.items():
        end = 0.0
        for start, duration, _ in phones[name]:
            assert abs(start - end) < TOLERANCE and duration > 0
            end = start + duration
        seconds = soundfile.info(recipe / path).duration
        assert seconds - 0.001 < end <= seconds + TOLERANCE
    inventory = {phone for rows in phones.values() for *_, phone in rows}
    assert "SIL" in inventory and 30 <= len(inventory) <= 60
    assert not any(set(phone) & set("ˈˌ_:|' ") for phone in inventory)


def test_phone_times_point_at_the_right_sound(recipe: Path) -> None:
    """Pauses hold only the noise floor; vowels are far louder."""
    paths = read_table(recipe / "data" / "train_smoke" / "wav.scp")
    power = defaultdict(list)
    for line in (recipe / "data" / "train_smoke" / "phones.ctm").read_text(encoding="utf-8").splitlines():
        name, _, start, duration, phone = line.split()
        first, count = round(float(start) * 16000), round(float(duration) * 16000)
        if phone in ("SIL", "æ", "ɛ", "oʊ", "ɔɪ") and count > 500:
            samples, _ = soundfile.read(recipe / paths[name], start=first + 100, frames=count - 200)
            power["SIL" if phone == "SIL" else "vowel"].append(10 * np.log10(np.mean(samples**2)))
    assert len(power["vowel"]) > 20
    assert np.median(power["vowel"]) - np.median(power["SIL"]) > 25


def test_audio_is_16_khz_mono_and_without_digital_silence(recipe: Path) -> None:
    for path in read_table(recipe / "data" / "dev_smoke" / "wav.scp").values():
        information = soundfile.info(recipe / path)
        assert (information.samplerate, information.channels, information.subtype) == (16000, 1, "PCM_16")
        samples, _ = soundfile.read(recipe / path, dtype="int16")
        assert np.mean(samples == 0) < 0.02 and np.abs(samples).max() < 32767


def test_speakers_sound_different(recipe: Path) -> None:
    """The same sentence by two voices differs; so do their mean spectra."""
    spectra = {}
    for name, path in read_table(recipe / "data" / "train_smoke" / "wav.scp").items():
        samples, _ = soundfile.read(recipe / path)
        frames = samples[: len(samples) // 400 * 400].reshape(-1, 400)
        spectra.setdefault(name.split("-")[0], []).append(np.log(np.abs(np.fft.rfft(frames, axis=1)) + 1e-3).mean(0))
    means = [np.mean(rows, axis=0) for rows in spectra.values()]
    assert min(np.abs(a - b).mean() for i, a in enumerate(means) for b in means[:i]) > 0.02


def test_a_finished_speaker_is_kept_and_an_unfinished_one_is_made_again(recipe: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(recipe, copy, symlinks=True)
    expected = bytes_of(copy)
    audio = copy / "data" / "audio_smoke"
    kept = (audio / "s000" / "s000-000.wav").stat().st_mtime_ns
    (audio / "s001" / "rows.json").unlink()  # killed before it was complete
    (audio / "s001" / "s001-003.wav").write_bytes(b"half")
    (audio / "s002" / "s002-000.wav").unlink()  # audio taken away
    record = json.loads((audio / "s003" / "rows.json").read_text())
    (audio / "s003" / "rows.json").write_text(json.dumps({**record, "stamp": "of other settings"}))
    result = run(copy, "--smoke", "true")
    assert result.returncode == 0, result.stderr
    assert "3 of 6 speakers are there already" in result.stderr
    assert bytes_of(copy) == expected
    assert (audio / "s000" / "s000-000.wav").stat().st_mtime_ns == kept


def test_a_missing_synthesiser_is_one_clear_message(tmp_path: Path) -> None:
    blocker = tmp_path / "blocked"
    blocker.mkdir()
    (blocker / "espeakng_loader.py").write_text("raise ImportError('blocked')\n")
    recipe = make_recipe(tmp_path / "recipe")
    result = run(recipe, "--smoke", "true", PYTHONPATH=f"{blocker}{os.pathsep}{ROOT}")
    assert result.returncode != 0
    assert "pip install espeakng-loader" in result.stderr and "Traceback" not in result.stderr
    assert not list(recipe.glob("data/train*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--num_dev_speakers", "42"), "at least one speaker must be left"),
        (("--utterances_per_speaker", "0"), "expected 1 to 1000"),
        (("--nj", "0"), "expected 1 or more"),
        (("--num_speaker", "3"), "unknown option"),
        (("stray",), "unexpected argument 'stray'"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    recipe = make_recipe(tmp_path / "recipe")
    result = run(recipe, *options)
    assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr
    assert not list(recipe.glob("data/train*"))


@pytest.fixture
def sentences(monkeypatch):
    monkeypatch.syspath_prepend(str(LOCAL))
    return importlib.import_module("sentences")


def test_every_rule_of_the_grammar_can_be_reached_and_exists(sentences) -> None:
    named = set()
    for alternatives in sentences.RULES.values():
        for alternative in alternatives:
            named |= set(sentences.re.findall(r"\{(\w+)\}", alternative))
    assert named | {"sentence"} == sentences.RULES.keys()


def test_a_transcript_is_plain_words(sentences) -> None:
    assert sentences.transcript("Did Ruth, an usher, go?") == "did ruth an usher go"
