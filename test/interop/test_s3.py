"""A bucket on an S3-speaking server (moto) on loopback: stage 1, stage 3 and reading from it, and what it refuses.

s3fs and moto need another version of python-dateutil than the environment has: they come into a folder of their own.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
import soundfile
from audio_sources import write_tar
from fresh_environment import run
from repository import ROOT

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]
PACKAGES = ["s3fs==2026.9.0", "moto[s3,server]==5.2.5"]

UPLOAD = """
import sys, boto3
client = boto3.client("s3", region_name="us-east-1")
client.create_bucket(Bucket="speech")
for path in sys.argv[1:]:
    client.upload_file(path, "speech", "shards/" + path.rsplit("/", 1)[-1])
"""
IMPORT = """
import sys
from espnet2.bin.ssl_import_shards import main
from espnet2.utils.errors import run_main
sys.argv[1:1] = ["--train", "s3://speech/shards/train-*.tar"]
run_main(main)
"""
READ = """
import sys
from pathlib import Path
import numpy, soundfile
from stage3 import run, samples_of
from espnet2.data.format.plan import FormatOptions
folder, out = map(Path, sys.argv[1:])
run(folder / "train", out, FormatOptions(16000, "as_is", check_audio="full"))
waves = samples_of(out)
assert len(waves) >= 4, waves.keys()
for utt_id, wave in waves.items():
    assert numpy.array_equal(wave, soundfile.read(folder.parent / f"{utt_id}.flac", dtype="float32")[0])
"""


@pytest.fixture(scope="module")
def overlay(tmp_path_factory) -> Path:
    """A folder with the packages and what they need."""
    folder = tmp_path_factory.mktemp("overlay")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--target", folder, *PACKAGES], check=True)
    return folder


@pytest.fixture(scope="module")
def environment(overlay, tmp_path_factory):
    """The variables of a program that may use the server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = f"{overlay}:{ROOT}:{ROOT}/test/helpers"
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    log = open(tmp_path_factory.mktemp("server") / "log", "wb")  # noqa: SIM115 - the server's
    server = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": paths}, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urlopen(address, timeout=5)
            break
        except OSError:
            assert server.poll() is None, Path(log.name).read_text()
            time.sleep(0.2)
    yield {
        **os.environ,
        "PYTHONPATH": paths,
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AUDIO_STORE_TRIES": "2",
        "AUDIO_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
    }
    server.kill()
    server.wait()
    log.close()


@pytest.fixture(scope="module")
def bucket(environment, tmp_path_factory):
    """A folder of utterances, which are in the bucket, too, in two shards."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(6):
        wave = (np.random.default_rng(number).standard_normal(4000 + 500 * number) * 3000).astype(np.int16)
        soundfile.write(folder / f"u{number}.flac", wave, 16000, subtype="PCM_16")
    for number in (0, 1):
        members = {f"u{n}.flac": (folder / f"u{n}.flac").read_bytes() for n in range(number, 6, 2)}
        write_tar(folder / f"train-{number}.tar", members)
    run(sys.executable, UPLOAD, folder / "train-0.tar", folder / "train-1.tar", env=environment)
    return folder


def test_stages_1_and_3_and_the_samples(environment, bucket, tmp_path):
    words = ["--output_dir", bucket / "data", "--work_dir", bucket / "work", "--nj", "2"]
    run(sys.executable, IMPORT, *words, env=environment, cwd=tmp_path)
    entries = (bucket / "data/train/wav.scp").read_text().splitlines()
    assert entries and all(" s3://speech/shards/train-" in entry for entry in entries)
    run(sys.executable, READ, bucket / "data", tmp_path / "out", env=environment, cwd=tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no permission"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "could not be had in 2 tries"),
    ],
)
def test_no_credentials_and_no_server_are_one_message(environment, bucket, tmp_path, changes, message):
    variables = {name: value for name, value in {**environment, **changes}.items() if value is not None}
    variables |= {"AWS_EC2_METADATA_DISABLED": "true", "AUDIO_STORE_SECONDS": "20", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", IMPORT, "--output_dir", tmp_path / "data", "--work_dir", tmp_path / "work"]
    result = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr, result.stderr
    assert not (tmp_path / "data").exists()
