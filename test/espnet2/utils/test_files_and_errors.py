"""Atomic files, hashes, and how programs end."""

import argparse
import errno
import os
import stat
import sys

import pytest

from espnet2.utils.arguments import positive_float, positive_int
from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import (
    atomic_write,
    hash_bytes,
    hash_file,
    hash_value,
    read_json,
    read_json_lines,
    require_json,
    write_json,
)


def test_atomic_write_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new folder" / "f"
    with atomic_write(path) as stream:
        stream.write("one\n")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), atomic_write(path) as stream:
        stream.write("two\n")
        raise ZeroDivisionError
    assert path.read_text() == "one\n"
    assert [file.name for file in path.parent.iterdir()] == ["f"]


def test_others_may_read_what_we_write(tmp_path):
    umask = os.umask(0o022)
    try:
        write_json(tmp_path / "f.json", {"b": 1, "a": "ä"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "f.json").stat().st_mode) == 0o644
    assert (tmp_path / "f.json").read_text(encoding="utf-8") == '{\n  "a": "ä",\n  "b": 1\n}\n'


def test_json_that_is_cut_anywhere_is_damaged_and_no_traceback(tmp_path):
    path = tmp_path / "card.json"
    write_json(path, {"a": [1, 2], "name": "ä"})
    whole = path.read_bytes()
    for length in range(len(whole) - 2):  # without the last brace; a cut inside the two bytes of "ä" is among them
        path.write_bytes(whole[:length])
        assert read_json(path) is None
        with pytest.raises(UserError, match=r"card\.json:\d+: damaged or cut short .*: make it again"):
            require_json(path, "make it again")
    path.write_bytes(whole)
    assert require_json(path, "") == read_json(path) == {"a": [1, 2], "name": "ä"}


def test_the_line_of_damaged_json_is_named(tmp_path):
    (tmp_path / "f").write_bytes(b'{\n"a": 1,\n"b": }')
    with pytest.raises(UserError, match="f:3: damaged"):
        require_json(tmp_path / "f", "make it again")
    (tmp_path / "f").write_bytes(b'{\n"a": "\xff"}')
    with pytest.raises(UserError, match="f:2: damaged"):
        require_json(tmp_path / "f", "make it again")


def test_json_that_is_missing_or_no_object(tmp_path):
    assert read_json(tmp_path / "f") is None
    with pytest.raises(UserError, match="f is missing: make it again"):
        require_json(tmp_path / "f", "make it again")
    for text in ("[1]", "null", "3"):
        (tmp_path / "f").write_text(text)
        assert read_json(tmp_path / "f") is None
        with pytest.raises(UserError, match="expected a JSON object: make it again"):
            require_json(tmp_path / "f", "make it again")


def test_a_journal_ends_where_it_was_cut(tmp_path):
    path = tmp_path / "journal"
    assert list(read_json_lines(path)) == []
    path.write_bytes(b'{"a": 1}\n[2]\n{"b": "\xc3')
    assert list(read_json_lines(path)) == [{"a": 1}, [2]]


def test_hashes(tmp_path):
    assert hash_bytes("ab", "c") != hash_bytes("a", "bc") != hash_bytes("abc")
    assert hash_bytes("ä") == hash_bytes("ä".encode())
    assert hash_value({"a": 1, "b": [2]}) == hash_value({"b": [2], "a": 1}) != hash_value({"a": 1, "b": [3]})
    (tmp_path / "f").write_bytes(b"abc")
    assert hash_file(tmp_path / "f") == "ba7816bf8f01cfea"  # SHA-256 of "abc", FIPS 180-2, appendix B.1


ENDS = {
    "user": (UserError("x: no such file"), 2, "error: x: no such file\n"),
    "system": (
        PermissionError(errno.EACCES, "Permission denied", "f"),
        2,
        "(ls -ld), or choose another folder\n",
    ),
    "disk": (OSError(errno.ENOSPC, "No space left on device"), 2, "free some space and run the same command again\n"),
    "loader": (
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        2,
        "lower num_workers or batch_bins, or ask the queue for more memory; start the same command again\n",
    ),
    "ctrl-c": (KeyboardInterrupt(), 130, "interrupted\n"),
}


@pytest.mark.parametrize("case", ENDS)
def test_how_programs_end(monkeypatch, capsys, case):
    error, status, message = ENDS[case]
    monkeypatch.setattr(sys, "argv", ["/somewhere/ssl_thing.py"])

    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_main(main)
    assert caught.value.code == status
    shown = capsys.readouterr().err
    assert shown.startswith("ssl_thing: ") and shown.endswith(message) and shown.count("\n") == 1


def test_statuses_pass_through():
    for result, status in ((None, 0), (3, 3)):
        with pytest.raises(SystemExit) as caught:
            run_main(lambda result=result: result)
        assert caught.value.code == status


def test_what_nobody_foresaw_is_one_line_and_a_file_with_the_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["/somewhere/ssl_thing.py", "--option"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        run_main(lambda: 1 / 0)
    assert caught.value.code == 1
    shown = capsys.readouterr().err
    assert (
        shown.count("\n") == 1 and "unforeseen ZeroDivisionError: division by zero (test_files_and_errors.py:" in shown
    )
    (file,) = tmp_path.iterdir()
    assert file.name in shown and "--option" in file.read_text() and "ZeroDivisionError" in file.read_text()


REFUSED = {
    "memory": (MemoryError(), "ask the queue for more"),
    "torch memory": (RuntimeError("[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"),
                     "lower batch_bins"),
    "GPU memory": (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "lower batch_bins"),
    "threads": (RuntimeError("can't start new thread"), "ulimit -u"),
    "processes": (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
    "files": (OSError(errno.EMFILE, "Too many open files", "/data/a.wav"), "ulimit -n"),
    "read-only": (OSError(errno.EROFS, "Read-only file system", "exp"), "this file system may only be read"),
    "rights": (PermissionError(errno.EACCES, "Permission denied", "exp/a"), "exp/a'; look at the rights"),
    "shared memory": (RuntimeError("unable to write to file </torch_42_0>: No space left on device"), "--shm-size"),
    "bus error": (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
                               "dataloader's workers are out of shared memory."), "--shm-size"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_machine_refuses_has_a_remedy(capsys, case):
    error, remedy = REFUSED[case]

    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_main(main)
    shown = capsys.readouterr().err
    assert caught.value.code == 2 and remedy in shown and shown.count("\n") == 1


@pytest.mark.parametrize("name", ["gpu", "cuda0", "cuda:", "mps", "", "CPU"])
def test_a_device_that_does_not_exist_is_refused(name):
    with pytest.raises(argparse.ArgumentTypeError, match="expected cpu, cuda"):
        device_name(name)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [require_device(name) for name in ("cpu", "cuda", "cuda:1")] == ["cpu", "cuda", "cuda:1"]
    with pytest.raises(UserError, match="sees 2 GPUs, counted from 0"):
        require_device("cuda:2")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(UserError, match="sees no GPU"):
        require_device("cuda")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "nan", "", "two"])
def test_options_that_count_are_above_zero(text):
    with pytest.raises(argparse.ArgumentTypeError, match="above 0"):
        positive_int(text)
    if text != "1.5":
        with pytest.raises(argparse.ArgumentTypeError, match="above 0"):
            positive_float(text)
    assert positive_int("3") == 3 and positive_float("1e-3") == 1e-3
