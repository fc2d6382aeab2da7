"""Unpacked packages that the test makes in; debian_voices' tables, what it leaves out, errors and a training out."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpus_recipes import write_lines
from recipe_folders import refuse, succeed
from spoken import vowels, write_with_pyav

VOICES = ("en_US_f_Allison", "es_MX_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
PROMPTS = ("vm-goodbye", "digits/1", "digits/2", "conf-muted", "spy-sip")
NOT_SPEECH = ("beep", "silence/1", "ascending-2tone", "confbridge-join", "tt-monkeys")
PACKAGES = ("tuxpaint-stamps-default", *(f"asterisk-core-sounds-{name}-g722" for name in "en es fr it ru".split()))
OPTIONS = ("--check_content", "false", "--debian_voices_root")


def tone(seconds: float, pitch_hz: float) -> np.ndarray:
    """Something that no other file has."""
    return vowels(seconds, pitch_hz)


def make_packages(folder: Path, *, num_stamps: int = 6) -> Path:
    """Write what `dpkg-deb -x` leaves of the six packages: 25 prompts, `num_stamps` stamps in two languages."""
    sounds, stamps = folder / "usr/share/asterisk/sounds", folder / "usr/share/tuxpaint/stamps/animals/birds"
    for number, voice in enumerate(VOICES):
        for index, prompt in enumerate((*PROMPTS, *NOT_SPEECH)):
            write_with_pyav(sounds / voice / f"{prompt}.g722", tone(0.3, 80 + 10 * number + index))
    (sounds / VOICES[-1] / "is.g722").touch()
    stamps.mkdir(parents=True)
    for number in range(num_stamps):
        write_lines(
            stamps / f"duck{number}.txt", [f"Duck {number}.", f"bg.utf8=Патица № {number}.", "fr.utf8=Un canard."]
        )
        left_and_right = np.stack([np.zeros(13230), tone(0.3, 150 + number).repeat(3)[:13230]], axis=1)
        soundfile.write(stamps / f"duck{number}_desc_bg.ogg", left_and_right, 44100)
        soundfile.write(stamps / f"duck{number}_desc.ogg", tone(0.3, 200 + number), 16000)
        soundfile.write(stamps / f"duck{number}.ogg", tone(0.3, 90), 16000)  # what a duck sounds like
    shutil.copy(stamps / "duck0_desc.ogg", stamps / "duck0-b_desc.ogg")
    soundfile.write(stamps / "goose_desc_da.ogg.ogg", tone(0.3, 111), 16000)  # misnamed, and without a transcript
    return folder


def by_id(lines: list[str]) -> dict[str, str]:
    return {line.split(" ")[0]: line.partition(" ")[2] for line in lines}


def test_the_sets_and_what_is_left_out(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "the packages")
    output = recipe.prepare(*OPTIONS, root, "--nj", "3")
    assert "38 clips; left out: 1 exact duplicates, 1 empty files" in output
    assert recipe.sets() == ["dev", "train"]
    train, dev = recipe.tables("train"), recipe.tables("dev")
    assert not set(train["wav.scp"]) & set(dev["wav.scp"])
    language = by_id(train["utt2lang"] + dev["utt2lang"])
    speaker = by_id(train["utt2spk"] + dev["utt2spk"])
    assert len(language) == 38 and not [name for name in language if "beep" in name or "monkeys" in name]
    assert (language["ast_allison-es-digits_1"], speaker["ast_allison-es-digits_1"]) == ("es", "ast_allison")
    assert (language["tux_bg-animals_birds_duck1"], speaker["tux_bg-animals_birds_duck1"]) == ("bg", "tux_bg")
    assert language["tux_da-animals_birds_goose"] == "da"
    text = by_id(train["text"] + dev["text"])
    assert text["tux_bg-animals_birds_duck1"] == "Патица № 1." and text["tux_en-animals_birds_duck2"] == "Duck 2."
    assert text["tux_da-animals_birds_goose"] == "" and text["ast_june-fr-spy-sip"] == ""


def test_audio_is_mono_16k_from_the_channel_that_has_any(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "packages")
    recipe.prepare(*OPTIONS, root)
    entries = by_id(recipe.tables("train")["wav.scp"] + recipe.tables("dev")["wav.scp"])
    for name in ("tux_bg-animals_birds_duck1", "ast_carlo-it-conf-muted"):
        samples, rate = soundfile.read(recipe.ssl1 / entries[name])
        assert rate == 16000 and samples.ndim == 1 and abs(len(samples) - 4800) <= 20 and np.std(samples) > 0.01, name


def test_the_same_for_any_number_of_jobs_and_nothing_is_made_twice(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "packages")
    recipe.prepare_with_any_nj(*OPTIONS, root)
    data = recipe.ssl1 / "data"
    made = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in data.rglob("*.flac")}
    lost = next(iter(made))
    lost.unlink()
    recipe.prepare(*OPTIONS, root, "--nj", "2")
    assert all(path.stat().st_mtime_ns == made[path][0] for path in made if path != lost)
    assert lost.read_bytes() == made[lost][1]
    shutil.rmtree(data)
    recipe.prepare(*OPTIONS, root, "--nj", "1")
    assert {path: path.read_bytes() for path in data.rglob("*.flac")} == {path: made[path][1] for path in made}


def test_a_repeated_sentence_is_in_one_set(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "packages")
    stamps = root / "usr/share/tuxpaint/stamps/animals/birds"
    for number in range(12):
        write_lines(stamps / f"swan{number}.txt", ["A swan" + "!" * (number % 3)])  # punctuation is no other sentence
        soundfile.write(stamps / f"swan{number}_desc.ogg", tone(0.2, 120 + number), 16000)
    recipe.prepare(*OPTIONS, root)
    swans_of_set = [sum("swan" in line for line in recipe.tables(dset)["wav.scp"]) for dset in ("train", "dev")]
    assert sorted(swans_of_set) == [0, 12]


def test_missing_packages_and_other_contents_are_one_clear_message(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "packages", num_stamps=1)
    assert "pass --check_content false" in recipe.refuse("--debian_voices_root", root)
    shutil.rmtree(root / "usr/share/asterisk/sounds/it_IT_m_Carlo")
    assert "lacks usr/share/asterisk/sounds/it_IT_m_Carlo" in recipe.refuse(*OPTIONS, root)
    assert f"no folder {tmp_path}/nowhere; expected" in recipe.refuse(*OPTIONS, tmp_path / "nowhere")
    assert recipe.sets() == []


def test_a_damaged_file_is_one_clear_message(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "packages", num_stamps=1)
    bad = root / "usr/share/tuxpaint/stamps/animals/birds/duck0_desc.ogg"
    bad.write_text("no audio")
    assert "duck0_desc.ogg: " in recipe.refuse(*OPTIONS, root) and recipe.sets() == []


def make_deb(root: Path, package: str, path: Path) -> None:
    """Build a Debian package of a folder."""
    write_lines(root / "DEBIAN/control", [f"Package: {package}", "Version: 1", "Architecture: all"])
    with open(root / "DEBIAN/control", "a") as stream:
        stream.write("Maintainer: nobody <nobody@example.org>\nDescription: a test\n")
    subprocess.run(["dpkg-deb", "-b", str(root), str(path)], check=True, capture_output=True)


def test_packages_put_into_downloads_are_unpacked(corpus_recipe, tmp_path: Path) -> None:
    recipe = corpus_recipe("debian_voices")
    downloads = recipe.ssl1 / "downloads"
    downloads.mkdir()
    for number, package in enumerate(PACKAGES):
        write_lines(tmp_path / package / "usr/share" / f"file{number}", ["x"])
        make_deb(tmp_path / package, package, downloads / f"{package}_1_all.deb")
    succeed(recipe.ssl1, "local/download.sh", "downloads")
    assert len(list((downloads / "debian_voices/usr/share").iterdir())) == 6
    shutil.rmtree(downloads / "debian_voices")
    bad = downloads / f"{PACKAGES[3]}_1_all.deb"
    bad.write_bytes(bad.read_bytes()[:100])
    output = refuse(recipe.ssl1, "local/download.sh", "downloads")
    assert f"{bad.name}: cannot be unpacked" in output and not (downloads / "debian_voices").exists()


@pytest.mark.recipes
def test_prompts_and_stamps_train(corpus_recipe, tmp_path: Path) -> None:
    recipe, root = corpus_recipe("debian_voices"), make_packages(tmp_path / "packages")
    recipe.train(f"--check_content false --debian_voices_root {root}")
    dump = recipe.ssl1 / "dump"
    counts = [len((dump / dset / "utt2lang").read_text().splitlines()) for dset in ("train", "dev")]
    assert sum(counts) == 38 and all(counts)
