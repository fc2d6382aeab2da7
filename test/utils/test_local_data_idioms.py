"""A local/data.sh with the habits of Kaldi and ESPnet in, the directories it makes with our utils/ checked."""

import http.server
import os
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import stage3
from data_directory import keys, tables
from recipe_folders import run, set_up_recipe, succeed

SCRIPT = Path(__file__).parent / "idioms" / "data.sh"
WGET = f"""#!{sys.executable}
import sys, urllib.request
url, folder = sys.argv[-1], sys.argv[sys.argv.index("-P") + 1] if "-P" in sys.argv else None
data = urllib.request.urlopen(url).read()
sys.stdout.buffer.write(data) if folder is None else open(folder + "/" + url.split("/")[-1], "wb").write(data)
"""
STM = """;; recordings of a meeting
m1 1 f01 0.00 0.60 GOOD MORNING
m1 1 m02 0.70 1.50 GOOD MORNING
m1 1 f01 1.50 1.70 MM
m2 1 m02 0.10 0.90 WE BEGIN
m2 1 f01 1.00 1.80 YES
"""


def make_archives(folder: Path) -> Path:
    """Write telephone.tar.gz and meeting.tgz."""
    telephone, meeting = folder / "telephone", folder / "meeting"
    for speaker, count in (("FAA", 3), ("MBB", 3)):
        (telephone / "DISC1" / speaker).mkdir(parents=True)
        for number in range(count):
            path = telephone / "DISC1" / speaker / f"{speaker}_{number}.SPH"
            samples = np.stack([stage3.noise(number + 10, 8000), stage3.noise(number + 20, 8000)], axis=1)
            soundfile.write(path, samples, 16000, "PCM_16", format="NIST")
    lines = [f"{speaker}_{number} HELLO [noise] THERE" for speaker in ("FAA", "MBB") for number in (0, 1, 2)]
    (telephone / "trans.txt").write_text("\r\n".join([*lines[:5], "MBB_9 NOT RECORDED"]) + "\r\n", newline="")
    meeting.mkdir()
    for name in ("m1", "m2"):
        soundfile.write(meeting / f"{name}.flac", stage3.noise(len(name), 32000), 16000)
    (meeting / "all.stm").write_text(STM)
    for name, source in (("telephone.tar.gz", telephone), ("meeting.tgz", meeting)):
        with tarfile.open(folder / name, "w:gz") as archive:
            archive.add(source, source.name)
        shutil.rmtree(source)
    return folder


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web server that has the archives."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    folder = make_archives(tmp_path_factory.mktemp("mirror"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """No proxy; where the machine has no wget, a stand-in for it."""
    variables = {"no_proxy": "*", "NO_PROXY": "*"}
    if shutil.which("wget") is None:
        folder = tmp_path_factory.mktemp("bin")
        (folder / "wget").write_text(WGET)
        (folder / "wget").chmod(0o755)
        variables["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return variables


@pytest.fixture(scope="module")
def recipe(url: str, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that setup.sh made, after its local/data.sh, the script of this test."""
    folder = tmp_path_factory.mktemp("recipes") / "corpus" / "ssl1"
    assert set_up_recipe("ssl1", folder).returncode == 0
    shutil.copy2(SCRIPT, folder / "local" / "data.sh")
    succeed(folder, "local/data.sh", "--url", url, **environment)
    return folder


def test_sphere_pipes_and_transcripts_of_what_is_there(recipe: Path) -> None:
    data = tables(recipe / "data" / "telephone")
    assert keys(data["text"]) == ["faa_0", "faa_1", "faa_2", "mbb_0", "mbb_1"]  # mbb_2 has no transcript
    assert data["text"].splitlines()[0] == "faa_0 HELLO THERE"
    pipe = "sph2pipe -f wav -p -c 1 downloads/telephone/DISC1/FAA/FAA_0.SPH |"
    assert data["wav.scp"].splitlines()[0] == f"faa_0 {pipe}"
    assert data["spk2gender"] == "faa f\nmbb m\n"


def test_segments_without_what_is_too_short(recipe: Path) -> None:
    data = tables(recipe / "data" / "meeting")
    assert data["segments"].splitlines() == [
        "f01_m1_000000_000060 m1 0.00 0.60",
        "f01_m2_000100_000180 m2 1.00 1.80",
        "m02_m1_000070_000150 m1 0.70 1.50",
        "m02_m2_000010_000090 m2 0.10 0.90",
    ]
    assert [float(line.split()[1]) for line in data["utt2dur"].splitlines()] == pytest.approx([0.6, 0.8, 0.8, 0.8])


def test_combined_and_divided(recipe: Path) -> None:
    folder = recipe / "data"
    dev, train = tables(folder / "train_dev"), tables(folder / "train_nodup")
    assert keys(dev["utt2spk"]) == ["f01_m1_000000_000060", "f01_m2_000100_000180", "m02_m1_000070_000150"]
    # The telephone's utterances had no segments: they have them now, as long as their headers say. Of their five equal
    # transcripts two are left, in expectation: Kaldi's script draws, always alike.
    assert keys(train["utt2spk"]) == ["m02_m2_000010_000090", "tel-faa_2", "tel-mbb_1"]
    assert train["segments"].splitlines()[1].split()[:3] == ["tel-faa_2", "tel-faa_2", "0"]
    assert float(train["segments"].splitlines()[1].split()[3]) == pytest.approx(0.5)
    assert keys(tables(folder / "test")["utt2spk"]) == ["f01_m1_000000_000060", "m02_m1_000070_000150"]
    assert keys(tables(folder / "test_one")["spk2utt"]) == ["f01"]
    assert len(keys(tables(folder / "train_nodup_sp")["utt2spk"])) == 9
    assert len(set(keys(tables(folder / "train_two")["utt2spk"])) & set(keys(train["utt2spk"]))) == 2
    assert sorted(path.name for path in (folder / "train_nodup").glob("split*")) == ["split2utt"]
    assert not (folder / "all").exists()


def test_a_second_call_needs_no_server(recipe: Path, environment: dict[str, str]) -> None:
    before = tables(recipe / "data" / "train_nodup")
    succeed(recipe, "local/data.sh", "--url", "http://127.0.0.1:9", "--stage", "2", **environment)
    assert tables(recipe / "data" / "train_nodup") == before


def test_a_failed_download_stops_it(recipe: Path, environment: dict[str, str], tmp_path: Path) -> None:
    made = shutil.ignore_patterns("data", "downloads")
    folder = shutil.copytree(recipe, tmp_path / "ssl1", symlinks=True, ignore=made)
    result = run(folder, "local/data.sh", "--url", "http://127.0.0.1:9", **environment)
    assert result.returncode != 0 and not (folder / "data").exists()
    assert not list((folder / "downloads").rglob(".complete"))


def test_stage_3_decodes_what_the_pipes_mean(recipe: Path, tmp_path: Path, monkeypatch) -> None:
    """Neither sph2pipe nor flac has to be installed; channel 1 of a stereo SPHERE file is the first."""
    monkeypatch.chdir(recipe)
    output = tmp_path / "org"
    stage3.run(Path("data/train_nodup"), output)
    samples = stage3.samples_of(output)
    lengths = {name: len(one) for name, one in samples.items()}
    assert lengths == {"m02_m2_000010_000090": 12800, "tel-faa_2": 8000, "tel-mbb_1": 8000}
    np.testing.assert_allclose(samples["tel-faa_2"] * 32768, stage3.noise(12, 8000), atol=0.5)


@pytest.mark.recipes
def test_the_recipe_s_stages_take_it(recipe: Path, url: str, environment: dict[str, str]) -> None:
    options = ["--train_set", "train_nodup", "--valid_set", "train_dev", "--local_data_opts", f"--url {url}"]
    succeed(recipe, "./run.sh", *options, "--stop_stage", "4", "--nj", "2", **environment)
    assert len(keys((recipe / "dump" / "train_dev" / "wav.scp").read_text())) == 3
    assert len(keys((recipe / "dump" / "train_nodup" / "wav.scp").read_text())) == 3
