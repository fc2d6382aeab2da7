"""Folders in, archives that are equal byte for byte out; archives made to do harm in, a refusal and no file out."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from espnet2.models.archive import unpack, write_archive
from espnet2.utils.errors import UserError

SUFFIXES = (".tar.gz", ".zip")


def write_folder(folder: Path) -> Path:
    (folder / "kmeans").mkdir(parents=True)
    (folder / "config.yaml").write_text("seed: 0\n")
    (folder / "kmeans/card.json").write_text("{}\n")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 100)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tar_with(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def tar_member(name: str, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(member, key, value)
    return member


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_files_give_the_same_bytes(tmp_path, suffix):
    one, two = write_folder(tmp_path / "1/m"), write_folder(tmp_path / "2/m")
    (two / "config.yaml").touch()
    (two / "config.yaml").chmod(0o600)
    archives = [write_archive(folder, tmp_path / f"{number}{suffix}") for number, folder in enumerate((one, two))]
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert contents(unpack(archives[0], tmp_path / "out")) == contents(one)
    assert (tmp_path / "out/model.safetensors").stat().st_mode & 0o777 == 0o644
    with pytest.raises(UserError, match="exists; choose another folder"):
        unpack(archives[0], tmp_path / "out")


@pytest.mark.parametrize("name", ["optimizer.pt", "code.py", "x.pkl"])
def test_pickles_and_programs_are_not_packed(tmp_path, name):
    folder = write_folder(tmp_path / "m")
    (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match="not part of a packed model"):
        write_archive(folder, tmp_path / "m.tar.gz")
    assert not (tmp_path / "m.tar.gz").exists()


def test_links_are_not_packed(tmp_path):
    folder = write_folder(tmp_path / "m")
    (folder / "more.json").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="not part of a packed model"):
        write_archive(folder, tmp_path / "m.zip")


NAMES = {
    "../out.json": "leads outside the folder",
    "m/../../out.json": "leads outside the folder",
    "/out.json": "leads outside the folder",
    "C:/out.json": "leads outside the folder",
    "m\\..\\out.json": "leads outside the folder",
    "m/a\x1b[2Jb.json": "leads outside the folder",
    "m/x.pkl": "no part of a packed model",
    "m/setup.py": "no part of a packed model",
}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", NAMES)
def test_members_that_do_not_belong_there(tmp_path, name, suffix):
    path = tmp_path / f"bad{suffix}"
    good = (tar_member("m/config.yaml"), b"seed: 0\n")
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("m/config.yaml", "seed: 0\n")
            archive.writestr(name, "{}")
    else:
        tar_with(path, good, (tar_member(name), b"{}"))
    if suffix == ".zip" and "\\" in name:  # Python's zipfile writes it as it stands on this system
        assert name in zipfile.ZipFile(path).namelist()
    with pytest.raises(UserError, match=NAMES[name]):
        unpack(path, tmp_path / "inner/out")
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize(
    "fields",
    [
        {"type": tarfile.SYMTYPE, "linkname": "/etc"},
        {"type": tarfile.LNKTYPE, "linkname": "m/config.yaml"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
        {"type": tarfile.FIFOTYPE},
    ],
)
def test_links_and_devices_in_a_tar(tmp_path, fields):
    path = tar_with(tmp_path / "bad.tar.gz", (tar_member("m/a.json", **fields), b""))
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_in_a_zip(tmp_path):
    member = zipfile.ZipInfo("m/a.json")
    member.create_system, member.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(member, "/etc/hostname")
    with pytest.raises(UserError, match="is a link or a device"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")


def test_a_file_that_comes_twice(tmp_path):
    path = tar_with(tmp_path / "bad.tar.gz", (tar_member("m/a.json"), b"1"), (tar_member("m/A.json"), b"2"))
    with pytest.raises(UserError, match="comes twice"):
        unpack(path, tmp_path / "out")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_bombs(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("espnet2.models.archive.FREE_EXPANSION_BYTES", 1 << 20)
    zeros, path = bytes(16 << 20), tmp_path / f"bomb{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("m/model.safetensors", zeros)
    else:
        tar_with(path, (tar_member("m/model.safetensors"), zeros))
    with pytest.raises(UserError, match="expands to more than 100 times its size"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tar_header_as_large_as_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("espnet2.models.archive.FREE_EXPANSION_BYTES", 1 << 20)
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 16 << 20
    (tmp_path / "bad.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(16 << 20)))
    with pytest.raises(UserError, match="expands to more than"):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "out")


def test_a_zip_that_lies_about_a_size(tmp_path, monkeypatch):
    monkeypatch.setattr("espnet2.models.archive.FREE_EXPANSION_BYTES", 1 << 10)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/a.json", bytes(1 << 20))
    data = (tmp_path / "a.zip").read_bytes().replace(struct.pack("<I", 1 << 20), struct.pack("<I", 100))
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"damaged or cut short|expands to more than"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_archives_that_are_cut_short(tmp_path, suffix, share):
    path = write_archive(write_folder(tmp_path / "m"), tmp_path / f"a{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"damaged or cut short|holds no file"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_changed_byte_is_found(tmp_path, suffix):
    path = write_archive(write_folder(tmp_path / "m"), tmp_path / f"a{suffix}")
    data = bytearray(path.read_bytes())
    data[-6 if suffix == ".tar.gz" else len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError):
        unpack(path, tmp_path / "out")
