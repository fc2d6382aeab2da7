"""One reader behind the index: the same samples from a file, an ark, a tar, Parquet, a long file, and a server."""

import os

import numpy as np
import pytest
import soundfile
from audio_sources import SOURCES, as_parquet, as_tar, write_tar
from range_server import serve

from espnet2.data.audio import read
from espnet2.data.audio.entry import parse_entry
from espnet2.data.audio.read import read_audio
from espnet2.data.audio.source import open_source
from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.utils.errors import UserError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Ten utterances as FLAC."""
    folder, paths = tmp_path_factory.mktemp("files"), {}
    for number in range(10):
        wave = (np.random.default_rng(number).standard_normal(3000 + 500 * number) * 3000).astype(np.int16)
        paths[f"u{number}"] = folder / f"u{number}.flac"
        soundfile.write(paths[f"u{number}"], wave, 16000, subtype="PCM_16")
    return paths


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_samples_of_the_file(files, tmp_path, source):
    entries = SOURCES[source](files, tmp_path)
    assert entries.keys() == files.keys()
    for utt_id, entry in entries.items():
        expected, _ = read_audio(str(files[utt_id]))
        assert np.array_equal(read_audio(entry)[0], expected), entry
        assert np.array_equal(read_audio(entry, start=1000, num_samples=777)[0], expected[1000:1777])
        assert np.array_equal(read_audio(entry, start=2000)[0], expected[2000:])
        with open_source(entry) as audio:
            assert audio.is_whole and (source == "parts" or audio.frames == len(expected))


@pytest.mark.parametrize("copied_bytes", [0, 1 << 21])
def test_samples_come_into_an_array_of_the_reader(files, tmp_path, monkeypatch, copied_bytes):
    """Also where the file around them is too long to be read as a whole."""
    monkeypatch.setattr(read, "COPIED_BYTES", copied_bytes)
    for source, write in SOURCES.items():
        for utt_id, entry in write(files, tmp_path).items():
            expected, _ = read_audio(str(files[utt_id]))
            out = np.full(777, 9, dtype=np.float32)
            samples, _ = read_audio(entry, start=1000, num_samples=777, out=out)
            assert samples is out and np.array_equal(out, expected[1000:1777]), source
    with pytest.raises(UserError, match="ends at sample 3000"):
        read_audio(str(files["u0"]), start=2900, num_samples=200, out=np.zeros(200, np.float32))


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "GSM610"), ("a.wav", "NMS_ADPCM_16"), ("a.au", "G721_32"), ("a.aiff", "DWVW_16")]
)
def test_codecs_that_cannot_seek_are_read_in_parts(tmp_path, name, subtype):
    wave = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / name, wave, 8000, subtype=subtype)
    whole, _ = read_audio(str(tmp_path / name))
    part, _ = read_audio(str(tmp_path / name), start=5000, num_samples=1000)
    assert len(whole) >= 8000 and np.array_equal(part, whole[5000:6000])


def test_what_is_no_audio_is_said_by_its_entry_alone(tmp_path):
    (tmp_path / "a.tar").write_bytes(bytes(2000))
    with pytest.raises(UserError, match=r"a.tar:512\+900: cannot be read \(Format not recognised") as error:
        read_audio(f"{tmp_path}/a.tar:512+900")
    assert "object at" not in str(error.value)


def test_a_server_gives_them_too(files, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_CACHE_DIR", str(tmp_path / "cache"))
    entries = as_tar(files, tmp_path)
    with serve(tmp_path) as server:
        for utt_id, entry in entries.items():
            remote = entry.replace(str(tmp_path), server.address)
            assert np.array_equal(read_audio(remote)[0], read_audio(str(files[utt_id]))[0])


def test_lossy_parts_are_those_of_the_whole(tmp_path):
    """Decoders of MP3 and Opus that seek give other samples at first."""
    wave = 0.3 * np.random.default_rng(0).standard_normal(40000)
    for name, options in (("a.mp3", {}), ("a.ogg", {}), ("b.ogg", {"subtype": "OPUS"})):
        soundfile.write(tmp_path / name, wave, 16000, **options)
        whole, _ = read_audio(str(tmp_path / name))
        part, _ = read_audio(str(tmp_path / name), start=17123, num_samples=5000)
        assert np.array_equal(part, whole[17123:22123]), name
        out = np.zeros(5000, np.float32)
        read_audio(str(tmp_path / name), start=17123, num_samples=5000, out=out)
        assert np.array_equal(out, part), name


def test_what_is_no_longer_there_is_one_message(files, tmp_path):
    entries = list(as_tar(files, tmp_path).values())
    last = max(entries, key=lambda entry: int(entry.rsplit(":", 1)[1].split("+")[0]))
    path, _, span = last.rpartition(":")
    os.truncate(path, int(span.split("+")[0]) + 100)
    with pytest.raises(UserError, match=r"ends at byte \d+, \d+ bytes too early"):
        read_audio(last)
    with pytest.raises(UserError, match="no such file"):
        read_audio(f"{tmp_path}/none.tar:512+100")
    write_tar(tmp_path / "text.tar", {"a.txt": b"no audio"})
    with pytest.raises(UserError, match="cannot be read"):
        read_audio(f"{tmp_path}/text.tar:512+8")
    with pytest.raises(UserError, match=r"holds 500 samples, asked for 600"):
        read_audio(f"{files['u0']}@100+500", start=100, num_samples=500)
    with pytest.raises(UserError, match=r"ends at sample 3000, expected at least 3100"):
        read_audio(f"{files['u0']}@2900+200")


def test_parquet_that_is_not_as_the_entry_says(files, tmp_path):
    entry = as_parquet(files, tmp_path, number=list(range(10)))["u9"]
    file = parse_entry(entry).file
    for wrong, message in (
        (f"{file}:sound[0,0]", r"has no column 'sound'; it has: audio, number"),
        (f"{file}:number[0,0]", r"column 'number' is int64; expected bytes"),
        (f"{file}:audio[0,9]", r"has 4 rows in row group 0, asked for number 9"),
        (f"{file}:audio[9,0]", r"has 3 row groups, asked for number 9"),
        (f"{tmp_path}/none.parquet:audio[0,0]", "no such file"),
        (f"{files['u0']}:audio[0,0]", "cannot be read"),
    ):
        with pytest.raises(UserError, match=message):
            read_audio(wrong)


def test_an_index_names_what_lies_in_a_store(files, tmp_path):
    folder = tmp_path / "dump" / "x"
    folder.mkdir(parents=True)
    entries = {"a": "s3://bucket/shards/0.tar:512+99", "b": "shards/0.tar:512+99", "c": "gs://bucket/c.flac@5+6"}
    for name, value in (("utt2num_samples", "9"), ("utt2stats", "nan nan")):
        (folder / name).write_text("".join(f"{utt_id} {value}\n" for utt_id in entries))
    (folder / "wav.scp").write_text("".join(f"{utt_id} {entry}\n" for utt_id, entry in entries.items()))
    (folder / "format.json").write_text('{"sample_rate": 16000, "root": "../.."}')
    index = AudioIndex(build_index(folder))
    assert [index.path(row) for row in (0, 2)] == [entries["a"], entries["c"]]
    assert index.path(1) == str(tmp_path / entries["b"]) and np.isnan(index.mean).all()
