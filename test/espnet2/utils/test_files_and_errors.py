"""Atomic files, hashes, and how programs end."""

import errno
import os
import stat
import sys

import pytest

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write, hash_bytes, hash_file, hash_value, write_json


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
        "error: [Errno 13] Permission denied: 'f'\n",
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


def test_statuses_and_our_own_bugs_pass_through():
    for result, status in ((None, 0), (3, 3)):
        with pytest.raises(SystemExit) as caught:
            run_main(lambda result=result: result)
        assert caught.value.code == status
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: 1 / 0)
