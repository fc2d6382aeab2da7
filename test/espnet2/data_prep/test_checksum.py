"""Files in, their common checksum out: what sha256sum says, and another for any change."""

import subprocess
from pathlib import Path

from espnet2.data_prep.checksum import content_checksum

FILES = [Path("wav/a.wav"), Path("lab/a.lab")]


def write_files(root: Path, second: bytes = b"labels") -> Path:
    for file, content in zip(FILES, (b"samples", second), strict=True):
        (root / file).parent.mkdir(parents=True)
        (root / file).write_bytes(content)
    return root


def test_the_checksum_is_that_of_a_list_that_sha256sum_can_make(tmp_path: Path) -> None:
    write_files(tmp_path)
    command = "sha256sum wav/a.wav lab/a.lab | awk '{print $2, $1}' | sha256sum"
    oracle = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert content_checksum(tmp_path, FILES) == oracle.split()[0]


def test_content_names_and_order_count(tmp_path: Path) -> None:
    first = content_checksum(write_files(tmp_path / "first"), FILES)
    assert content_checksum(write_files(tmp_path / "a copy"), FILES) == first
    assert content_checksum(write_files(tmp_path / "second", b"Labels"), FILES) != first
    assert content_checksum(tmp_path / "first", FILES[::-1]) != first
    (tmp_path / "first/wav/b.wav").write_bytes(b"samples")
    assert content_checksum(tmp_path / "first", [Path("wav/b.wav"), FILES[1]]) != first
