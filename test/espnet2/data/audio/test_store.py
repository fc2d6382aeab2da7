"""Objects on a server: coalesced parts, a bounded cache, tries, and never less than what was asked for."""

import os

import numpy as np
import pytest
from range_server import serve

from espnet2.data.audio import store
from espnet2.data.audio.store_cache import BlockCache
from espnet2.utils.errors import UserError

CONTENT = np.random.default_rng(0).bytes(5 * 1000 + 300)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Blocks of 1000 bytes, and an object of five and a bit."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served/a.bin").write_bytes(CONTENT)
    monkeypatch.setenv("AUDIO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("AUDIO_STORE_TRIES", "3")
    monkeypatch.setattr(store, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(store, "FIRST_WAIT_SECONDS", 0.01)
    forget()
    with serve(tmp_path / "served") as server:
        yield server
    forget()


def forget():
    """What this process knows of objects, as a new process would not."""
    store._objects = (os.getpid(), type(store._objects[1])())


def read(server, start, stop):
    return store.find_object(f"{server.address}/a.bin").read(start, stop)


def test_missing_neighbours_come_in_one_request_and_once(server):
    assert read(server, 1500, 1600) == CONTENT[1500:1600]
    assert read(server, 100, 5299) == CONTENT[100:5299]  # around what is there
    assert read(server, 5200, 9999) == CONTENT[5200:]
    assert [header for _, header in server.ranges] == ["bytes=1000-1999", "bytes=0-999", "bytes=2000-5299"]
    forget()
    assert read(server, 0, 9999) == CONTENT and len(server.ranges) == 3  # from the disk
    with store.open_object(f"{server.address}/a.bin") as stream:
        stream.seek(-300, 2)
        assert stream.read() == CONTENT[-300:]


@pytest.mark.parametrize("fault", ["half", "500", "stall"])
def test_a_failed_request_is_made_again_with_a_line(server, monkeypatch, capsys, fault):
    monkeypatch.setenv("AUDIO_STORE_SECONDS", "1")
    server.faults = [fault]
    assert read(server, 0, 5300) == CONTENT
    assert "a.bin: bytes 0 to 5,300: try 1 of 3 failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["half"] * 3, r"bytes 1,000 to 3,000 could not be had in 3 tries"),
        (["500"] * 3, r"could not be had in 3 tries; the last: .*500"),
        (["stall"] * 3, r"could not be had in 3 tries; the last: .*nothing came within 0.3 s"),
        (["whole"] * 3, r"could not be had in 3 tries; the last: .*5,300 bytes came, not 2,000"),
        (["403"], r"no permission .* give credentials"),
    ],
)
def test_after_the_last_try_it_is_one_message(server, monkeypatch, faults, message):
    monkeypatch.setenv("AUDIO_STORE_SECONDS", "0.3" if "stall" in faults else "5")
    server.faults, server.stall_seconds = faults, 1.0
    with pytest.raises(UserError, match=message):
        read(server, 1000, 2500)
    assert not list(store.find_object(f"{server.address}/a.bin").cache.folder.glob("??/*"))
    monkeypatch.setenv("AUDIO_STORE_SECONDS", "5")
    server.faults = []
    assert read(server, 1000, 2500) == CONTENT[1000:2500]


def test_what_is_not_there_or_not_known(server, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"none\.bin"):
        store.find_object(f"{server.address}/none.bin")
    with pytest.raises(UserError, match=r"x9://a: .*expected s3://"):
        store.find_object("x9://a")
    with pytest.raises(UserError, match=r"nothing://x: reading|nothing://x: "):
        store.find_object("nothing://x")
    server.knows_size = False
    with pytest.raises(UserError, match=r"does not say how large it is"):
        store.find_object(f"{server.address}/a.bin")
    for variable in ("AUDIO_STORE_SECONDS", "AUDIO_CACHE_GB"):
        with monkeypatch.context() as patch:
            server.knows_size = True
            patch.setenv(variable, "much")
            with pytest.raises(UserError, match=f"{variable}=much: expected"):
                store.find_object(f"{server.address}/a.bin")


def test_an_object_that_changed_is_not_taken_from_the_cache(server):
    assert read(server, 0, 10) == CONTENT[:10]
    (server.folder / "a.bin").write_bytes(CONTENT[::-1])
    os.utime(server.folder / "a.bin", ns=(1, 1))
    forget()
    assert read(server, 0, 10) == CONTENT[::-1][:10]


def test_the_cache_keeps_its_limit_and_what_was_used_last(tmp_path):
    cache = BlockCache(tmp_path, 10 * 104)
    for number in range(10):
        cache.put("key", number, bytes(100))
        os.utime(tmp_path / "ke" / f"key.{number}", (number, number))
    assert cache.get("key", 0) == bytes(100)  # and now it is the newest
    cache.put("key", 10, bytes(100))
    kept = [number for number in range(11) if cache.get("key", number) is not None]
    assert kept == [0, 3, 4, 5, 6, 7, 8, 9, 10]
    assert sum(path.stat().st_size for path in tmp_path.glob("??/*")) <= 10 * 104


def test_a_damaged_block_is_fetched_again(server, monkeypatch):
    read(server, 0, 1000)
    block = next((store.find_object(f"{server.address}/a.bin").cache.folder).glob("??/*"))
    block.write_bytes(b"x" + block.read_bytes()[1:])
    forget()
    assert read(server, 0, 1000) == CONTENT[:1000] and len(server.ranges) == 2


def test_without_a_cache_nothing_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_CACHE_GB", "0")
    assert read(server, 0, 5300) == CONTENT and not (tmp_path / "cache").exists()


def test_a_disk_that_is_full_costs_the_cache_only(server, monkeypatch, capsys):
    monkeypatch.setattr(BlockCache, "put", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert read(server, 0, 5300) == CONTENT
    assert "nothing is kept there from now on" in capsys.readouterr().err
