"""A packed model to a stand-in for the Hugging Face Hub and back; without network or token a message, and all kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hub_server import TOKEN, Hub, running_hub
from repository import ROOT
from tiny_units import run_program, write_experiment


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("upload")
    experiment = write_experiment(folder / "exp")
    run_program("ssl_pack", "--model", experiment, "--output", folder / "packed/tiny", "--formats", "")
    return folder / "packed/tiny"


@pytest.fixture(scope="module")
def hub():
    with running_hub() as server:
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(folder: Path, *words: object, hub: Hub | None = None, **variables: str) -> subprocess.CompletedProcess:
    """Run Python in a process of its own: the client reads its settings when it is imported."""
    settings = {
        "HF_HOME": str(folder / "hf"), "HF_ENDPOINT": hub.address if hub else "http://127.0.0.1:9",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(ROOT), "no_proxy": "*",
        "ESPNET2_SSL_CACHE": str(folder / "cache"), **variables,
    }  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")} | settings
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def upload(folder: Path, packed: Path, *, repository: str = "user/tiny", **options) -> subprocess.CompletedProcess:
    return run(folder, "-m", "espnet2.bin.ssl_upload", "--hf_repo", repository, packed, **options)


def test_an_uploaded_model_can_be_loaded_by_its_name(tmp_path, packed, hub):
    done = upload(tmp_path, packed, hub=hub, HF_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert f"uploaded: {hub.address}/user/tiny/commit/" in done.stdout
    repository = hub.repositories["user/tiny"]
    assert {name: repository[name] for name in contents(packed)} == contents(packed)
    program = (
        "import torch; from espnet2.ssl import SpeechEncoder; torch.set_num_threads(1)\n"
        f"names = 'user/tiny', {str(packed)!r}\n"
        "ours, theirs = (SpeechEncoder.from_pretrained(name)(torch.ones(16000)) for name in names)\n"
        "assert all(map(torch.equal, ours.layers, theirs.layers))\n"
    )
    done = run(tmp_path, "-c", program, hub=hub)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("repository", "variables", "message"),
    [
        ("user/tiny", {}, "no token; log in with 'hf auth login' or set HF_TOKEN"),
        ("user/tiny", {"HF_TOKEN": "wrong"}, "log in with a token that may do this"),
        ("user/tiny", {"HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ("tiny", {"HF_TOKEN": TOKEN}, "expected <user or organisation>/<name>"),
    ],
)
def test_uploads_that_cannot_be(tmp_path, packed, hub, repository, variables, message):
    before = contents(packed)
    done = upload(tmp_path, packed, hub=hub, repository=repository, **variables)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert contents(packed) == before


def test_without_network(tmp_path, packed):
    before = contents(packed)
    done = upload(tmp_path, packed, HF_TOKEN=TOKEN)
    assert done.returncode == 2 and "check the network" in done.stderr and "is as it was" in done.stderr
    assert contents(packed) == before


def test_a_hub_that_refuses_the_commit(tmp_path, packed, hub):
    hub.refuse_with = 507
    try:
        done = upload(tmp_path, packed, hub=hub, repository="user/full", HF_TOKEN=TOKEN)
    finally:
        hub.refuse_with = None
    assert done.returncode == 2 and "upload to user/full failed" in done.stderr and "Traceback" not in done.stderr
    assert hub.repositories["user/full"] == {}


def test_a_repository_that_is_not_there(tmp_path, hub):
    program = "from espnet2.ssl import SpeechEncoder; from espnet2.utils.errors import run_main; "
    program += "run_main(lambda: SpeechEncoder.from_pretrained('hf:user/none'))"
    done = run(tmp_path, "-c", program, hub=hub)
    assert done.returncode == 2 and "hf:user/none: " in done.stderr and "check the name" in done.stderr
