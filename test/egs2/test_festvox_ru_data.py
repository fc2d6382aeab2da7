"""A corpus in the layout of the festvox-ru package, made here, in; festvox_ru's data preparation checked."""

import importlib.util
import io
import lzma
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
from repository import ROOT

from espnet2.utils.errors import UserError

LOCAL = ROOT / "egs2" / "festvox_ru" / "ssl1" / "local"
VOICE = "usr/share/festival/voices/russian/msu_ru_nsh_clunits"
NUM_UTTERANCES = 30
LABELS = "#\n    0.10200 125 pau\n    0.20200 125 k\n    0.35200 125 aa\n    0.40200 125 pau\n    0.49200 125 pau\n"


def make_corpus(folder: Path) -> Path:
    """Write 30 half-second utterances in the package's layout."""
    for name in ("wav", "lab", "etc"):
        (folder / name).mkdir(parents=True)
    names = [f"ru_{number:04d}" for number in range(1, NUM_UTTERANCES + 1)]
    lines = [f'( {name} "Кот, - к+от." )\n' for name in names]
    (folder / "etc" / "txt.done.data").write_text("".join(lines), encoding="utf-8")
    samples = np.random.default_rng(0).normal(0, 0.1, 8000)
    for name in names:
        soundfile.write(folder / "wav" / f"{name}.wav", samples, 16000, "PCM_16")
        (folder / "lab" / f"{name}.lab").write_text(LABELS)
    return folder


def run(recipe: Path, command: list[str], **environment: str) -> subprocess.CompletedProcess:
    """Run one of the recipe's programs with this Python first on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), **environment}
    variables.pop("FESTVOX_RU", None)
    return subprocess.run(command, cwd=recipe, env=variables, capture_output=True, text=True, timeout=120)


def run_data(recipe: Path, root: Path, *options: str) -> subprocess.CompletedProcess:
    return run(recipe, ["local/data.sh", "--festvox_ru_root", str(root), *options])


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus recipes" / "ssl1"  # the space is part of the test
    folder.mkdir(parents=True)
    (folder / "local").symlink_to(LOCAL)
    (folder / "utils").symlink_to(ROOT / "utils")
    (folder / "scripts").symlink_to(ROOT / "egs2/TEMPLATE/ssl1/scripts")
    return folder


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    return load("prepare")


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"festvox_ru_{name}", LOCAL / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_both_sets_are_made(recipe: Path, tmp_path: Path, prepare: ModuleType) -> None:
    corpus = make_corpus(tmp_path / "a corpus")
    result = run_data(recipe, corpus, "--check_content", "false")
    assert result.returncode == 0, result.stderr
    sets = {name: recipe / "data" / name for name in ("train", "dev")}
    names = {key: [line.split()[0] for line in (path / "wav.scp").open()] for key, path in sets.items()}
    assert len(names["train"]) + len(names["dev"]) == NUM_UTTERANCES and not set(names["train"]) & set(names["dev"])
    assert all(prepare.is_dev(name.removeprefix("nsh-")) for name in names["dev"])
    first = names["train"][0]
    lines = {path.name: path.read_text(encoding="utf-8").splitlines() for path in sets["train"].iterdir()}
    assert lines["wav.scp"][0] == f"{first} {corpus}/wav/{first.removeprefix('nsh-')}.wav"
    assert lines["text"][0] == f"{first} Кот, - кот."
    assert lines["utt2spk"][0] == f"{first} nsh" and lines["utt2lang"][0] == f"{first} ru"
    assert lines["spk2utt"] == [" ".join(["nsh", *names["train"]])] and lines["spk2gender"] == ["nsh m"]
    assert lines["phones.ctm"][:4] == [
        f"{first} 1 0.000 0.102 SIL",
        f"{first} 1 0.102 0.100 k",
        f"{first} 1 0.202 0.150 aa",
        f"{first} 1 0.352 0.140 SIL",  # two pauses in a row are one
    ]


def test_the_voice_is_found_below_an_unpacked_package(recipe: Path, tmp_path: Path) -> None:
    make_corpus(tmp_path / "package" / VOICE)
    assert run_data(recipe, tmp_path / "package", "--check_content", "false").returncode == 0


def test_the_other_recipe_s_download_is_used(recipe: Path) -> None:
    make_corpus(recipe.parent / "hubert1" / "downloads" / "festvox_ru")
    assert run(recipe, ["local/data.sh", "--check_content", "false"]).returncode == 0
    assert "../hubert1/downloads/festvox_ru/wav/" in (recipe / "data" / "train" / "wav.scp").read_text()


def cut_audio(corpus: Path) -> None:
    path = corpus / "wav" / "ru_0003.wav"
    path.write_bytes(path.read_bytes()[:4000])


DAMAGES = {
    "no transcripts": (
        lambda corpus: (corpus / "etc" / "txt.done.data").unlink(),
        "the folder of the festvox-ru voice",
    ),
    "audio missing": (lambda corpus: (corpus / "wav" / "ru_0002.wav").unlink(), "1 of 30 files are missing: ru_0002"),
    "labels missing": (lambda corpus: [path.unlink() for path in (corpus / "lab").iterdir()], "ru_0005.lab ...;"),
    "audio cut short": (cut_audio, "ru_0003.wav: 0.124 s of audio, but labels up to 0.492 s"),
    "not audio": (lambda corpus: (corpus / "wav" / "ru_0003.wav").write_text("<html>"), "not readable as audio"),
    "empty labels": (lambda corpus: (corpus / "lab" / "ru_0004.lab").write_text("#\n"), "ru_0004.lab: no labels"),
    "times go back": (
        lambda corpus: (corpus / "lab" / "ru_0004.lab").write_text("#\n 0.3 125 a\n 0.2 125 t\n"),
        "ru_0004.lab:3: expected '<growing end time>",
    ),
    "text is not UTF-8": (
        lambda corpus: (corpus / "etc" / "txt.done.data").write_bytes(b'( ru_0001 "\xeb" )\n'),
        "txt.done.data: not UTF-8",
    ),
    "text is malformed": (
        lambda corpus: (corpus / "etc" / "txt.done.data").write_text("ru_0001 text\n"),
        "txt.done.data:1: expected",
    ),
    "nothing held out": (
        lambda corpus: (corpus / "etc" / "txt.done.data").write_text('( ru_0001 "a" )\n'),
        "1 utterances leave none for the dev set",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_corpus_is_one_clear_message(recipe: Path, tmp_path: Path, damage: str) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    spoil, message = DAMAGES[damage]
    spoil(corpus)
    result = run_data(recipe, corpus, "--check_content", "false")
    assert result.returncode != 0 and message in result.stderr, result.stderr
    assert "Traceback" not in result.stderr and not (recipe / "data" / "train").exists()


def test_another_version_of_the_corpus_is_refused(recipe: Path, tmp_path: Path) -> None:
    result = run_data(recipe, make_corpus(tmp_path / "corpus"))
    assert result.returncode != 0 and "--check_content false" in result.stderr and not (recipe / "data").exists()


def refusal(prepare: ModuleType, corpus: Path, names: list[str]) -> str:
    """What is said of a corpus that is not the published one: its checksum is in it."""
    with pytest.raises(UserError) as caught:
        prepare.check_content(corpus, names)
    return str(caught.value)


def test_one_changed_byte_changes_the_checksum(tmp_path: Path, prepare: ModuleType) -> None:
    corpus = make_corpus(tmp_path / "corpus")
    names = list(prepare.read_transcripts(corpus / "etc" / "txt.done.data"))
    before = refusal(prepare, corpus, names)
    assert refusal(prepare, corpus, names[::-1]) == before
    (corpus / "lab" / "ru_0030.lab").write_text(LABELS.replace("125 k", "126 k"))
    assert refusal(prepare, corpus, names) != before


def make_package(path: Path, corpus: Path) -> Path:
    """Write a Debian package (an ar archive of three members) with the corpus and something the recipe ignores."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(corpus, f"./{VOICE}")
        for name in (f"./{VOICE}/mcep/ru_0001.mcep", "./usr/share/doc/festvox-ru/copyright"):
            information = tarfile.TarInfo(name)
            information.size = 3
            archive.addfile(information, io.BytesIO(b"abc"))
    members = {"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(b"\0" * 10240)}
    members["data.tar.xz"] = lzma.compress(data.getvalue())
    content = b"!<arch>\n"
    for name, body in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
        content += header + body + b"\n" * (len(body) % 2)
    path.write_bytes(content)
    return path


def path_without_apt(folder: Path) -> str:
    """A PATH with what download.sh needs, but neither apt nor dpkg."""
    folder.mkdir()
    for name in ("bash", "cat", "date", "dirname", "id", "mkdir", "mv", "readlink", "rm", "sed", "sha256sum", "tail"):
        (folder / name).symlink_to(Path("/usr/bin") / name if (Path("/usr/bin") / name).exists() else f"/bin/{name}")
    (folder / "python3").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "python3").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("with_dpkg", [True, False])
def test_a_package_put_into_downloads_is_unpacked(recipe: Path, tmp_path: Path, with_dpkg: bool) -> None:
    """Without dpkg-deb, Python reads the package; the package, which is the user's, stays."""
    corpus = make_corpus(tmp_path / "corpus")
    (recipe / "downloads").mkdir()
    package = make_package(recipe / "downloads" / "festvox-ru_0.5_all.deb", corpus)
    environment = {} if with_dpkg else {"PATH": path_without_apt(tmp_path / "bin")}
    result = run(recipe, ["local/download.sh", "downloads"], **environment)
    assert result.returncode == 0, result.stderr
    unpacked = recipe / "downloads" / "festvox_ru"
    assert {path.name for path in unpacked.iterdir()} == {"wav", "lab", "etc", "copyright"}
    for path in corpus.glob("*/*"):
        assert (unpacked / path.relative_to(corpus)).read_bytes() == path.read_bytes()
    assert package.exists() and not (recipe / "downloads" / ".festvox_ru_partial").exists()


@pytest.mark.parametrize("with_dpkg", [True, False])
def test_a_package_cut_short_leaves_nothing(recipe: Path, tmp_path: Path, with_dpkg: bool) -> None:
    (recipe / "downloads").mkdir()
    package = make_package(recipe / "downloads" / "festvox-ru_0.5_all.deb", make_corpus(tmp_path / "corpus"))
    package.write_bytes(package.read_bytes()[:-2000])
    environment = {} if with_dpkg else {"PATH": path_without_apt(tmp_path / "bin")}
    result = run(recipe, ["local/download.sh", "downloads"], **environment)
    assert result.returncode != 0 and "cannot be unpacked" in result.stderr and "Traceback" not in result.stderr
    assert not (recipe / "downloads" / "festvox_ru").exists()


def test_a_machine_without_apt_gets_a_clear_message(recipe: Path, tmp_path: Path) -> None:
    result = run(recipe, ["local/data.sh"], PATH=path_without_apt(tmp_path / "bin"))
    assert result.returncode != 0 and "has no apt" in result.stderr and "--festvox_ru_root" in result.stderr
    assert not (recipe / "data").exists()
