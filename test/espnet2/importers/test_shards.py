"""Tars, Parquet and Shar in; tables whose entries give the samples of the files out, or one message with the place."""

import gzip
import io
import json
import sys

import numpy as np
import pytest
import soundfile
from audio_sources import as_parquet, write_tar
from range_server import serve

from espnet2.bin.ssl_import_shards import main
from espnet2.data.audio.read import read_audio
from espnet2.importers.shard_list import list_shards
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table

NUMBERS = range(8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, paths = tmp_path_factory.mktemp("files"), {}
    for number in NUMBERS:
        wave = (np.random.default_rng(number).standard_normal(2000 + 400 * number) * 3000).astype(np.int16)
        paths[f"u{number}"] = folder / f"u{number}.flac"
        soundfile.write(paths[f"u{number}"], wave, 16000, subtype="PCM_16")
    return paths


def samples(files, names=None):
    """Of WebDataset: audio, a text and a JSON; a folder in the name, and a name with two dots behind the key."""
    members = {}
    for name in names or files:
        members[f"part/{name}.seg.flac"] = files[name].read_bytes()
        members[f"part/{name}.txt"] = f"words of {name}\n".encode()
        members[f"part/{name}.json"] = json.dumps({"speaker": f"s{int(name[1]) % 3}", "lang": "de"}).encode()
    return members


def shards(files, folder):
    """Two of them."""
    names = list(files)
    for number in (0, 1):
        write_tar(folder / f"train-{number:03d}.tar", samples(files, names[number::2]))
    return folder


def run(monkeypatch, tmp_path, *words):
    """The program; `out` holds what it makes."""
    options = ["--output_dir", tmp_path / "out", "--work_dir", tmp_path / "work", "--nj", "1"]
    monkeypatch.setattr(sys, "argv", ["ssl_import_shards", *map(str, [*options, *words])])
    main()
    return {name: read_table(tmp_path / "out/train" / name) for name in ("wav.scp", "utt2spk")}


def assert_same_audio(tables, files, key=lambda utt: utt[-2:]):
    assert tables["wav.scp"]
    for utt_id, entry in tables["wav.scp"].items():
        assert np.array_equal(read_audio(entry)[0], read_audio(str(files[key(utt_id)]))[0])


FIELDS = ("--text", "txt", "--speaker", "speaker", "--language", "lang", "--valid_share", "0.01")


def test_tars_of_webdataset(files, tmp_path, monkeypatch, capsys):
    shards(files, tmp_path)
    tables = run(monkeypatch, tmp_path, "--train", f"{tmp_path}/train-{{000..001}}.tar", *FIELDS)
    assert_same_audio(tables, files)
    assert set(tables["wav.scp"]) == {f"s{n % 3}-part_u{n}" for n in NUMBERS} - set(
        read_table(tmp_path / "out/dev/wav.scp")
    )
    train = tmp_path / "out/train"
    utt_id = next(iter(tables["utt2spk"]))
    assert read_table(train / "text")[utt_id] == f"words of {utt_id[-2:]}"
    assert set(read_table(train / "utt2lang").values()) == {"de"}
    assert read_table(train / "reco2header")[utt_id] == f"{2000 + 400 * int(utt_id[-1])} 16000 1 FLAC PCM_16"
    assert "train: " in capsys.readouterr().out


def test_a_stopped_call_goes_on_and_a_changed_shard_is_read_again(files, tmp_path, monkeypatch):
    shards(files, tmp_path)
    whole = (tmp_path / "train-001.tar").read_bytes()
    (tmp_path / "train-001.tar").write_bytes(whole[:5000])
    with pytest.raises(UserError, match="cut short"):
        run(monkeypatch, tmp_path, "--train", f"{tmp_path}/*.tar", *FIELDS)
    assert not (tmp_path / "out").exists() and len(list((tmp_path / "work").iterdir())) == 1
    (tmp_path / "train-001.tar").write_bytes(whole)
    first = run(monkeypatch, tmp_path, "--train", f"{tmp_path}/*.tar", *FIELDS)
    assert len(list((tmp_path / "work").iterdir())) == 2
    assert run(monkeypatch, tmp_path, "--train", f"{tmp_path}/*.tar", *FIELDS, "--nj", "2") == first


def test_parquet_and_datasets(files, tmp_path, monkeypatch):
    (tmp_path / "set/data").mkdir(parents=True)
    columns = {"sentence": [f"say {name}" for name in files], "who": [n % 2 for n in NUMBERS]}
    path = as_parquet(files, tmp_path / "set/data", **columns)
    options = ("--text", "sentence", "--speaker", "who")
    tables = run(monkeypatch, tmp_path, "--train", f"hf:{tmp_path}/set", *options, "--valid_share", "0.4")
    assert_same_audio(tables, files)
    assert all(entry in path.values() for entry in tables["wav.scp"].values())
    assert set(tables["utt2spk"].values()) <= {"0", "1"}
    with pytest.raises(UserError, match=r"no Parquet file of the split 'test' \(--split\) among 1"):
        run(monkeypatch, tmp_path, "--train", f"hf:{tmp_path}/set", "--split", "test")
    for wrong, message in ((("--audio", "sound"), "no column 'sound'; it has: audio, sentence, who"),
                           (("--text", "words"), "no column 'words'; it has")):  # fmt: skip
        with pytest.raises(UserError, match=message):
            run(monkeypatch, tmp_path, "--train", f"hf:{tmp_path}/set", *wrong)


def test_a_server(files, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_CACHE_DIR", str(tmp_path / "cache"))
    with serve(shards(files, tmp_path)) as server:
        tables = run(monkeypatch, tmp_path, "--train", f"{server.address}/train-{{000..001}}.tar", *FIELDS)
        assert_same_audio(tables, files)
        assert len(server.ranges) == 2  # one request for each shard: read ahead, and from the cache
        with pytest.raises(UserError, match=r"train-002.tar: no such shard"):
            run(monkeypatch, tmp_path, "--train", f"{server.address}/train-{{001..002}}.tar", *FIELDS)


def cut(path, size=5000):
    path.write_bytes(path.read_bytes()[:size])


def at_a_member(path):
    """Cut where a member ends: only the mark at the end is missing."""
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"part/u1.txt")])


def without_audio(path):
    write_tar(path, {"a.txt": b"words", "a.json": b"{}"})


def broken_audio(path):
    write_tar(path, {"a.flac": b"fLaC but nothing else", "a.txt": b"", "a.json": b'{"speaker": 1, "lang": 2}'})


def other_json(path):
    write_tar(path, {"a.txt": b"words", "a.json": b'{"name": 1}', "a.wav": b""})


def json_of_lists(path):
    write_tar(path, {"a.json": b'{"speaker": {"id": 1}, "lang": null}', "a.txt": b"", "a.wav": a_wave()})


def joined(path):
    """By cat: programs that read tars stop at the first one's end."""
    path.write_bytes(path.read_bytes() * 2)


def a_wave():
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(800), 16000, format="WAV")
    return stream.getvalue()


def compressed(path):
    with gzip.open(path.with_suffix(".tar.gz"), "wb") as stream:
        stream.write(path.read_bytes())
    path.write_bytes(path.with_suffix(".tar.gz").read_bytes())
    path.with_suffix(".tar.gz").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"train-001.tar.*(cut short|too early)"),
        (at_a_member, r"train-001.tar: cut short: the tar ends at byte [\d,]+ without a mark"),
        (without_audio, r"train-001.tar, sample a: 0 audio files among json, txt"),
        (broken_audio, r"train-001.tar, member a.flac: (no readable audio|.*cut short)"),
        (other_json, r"train-001.tar, member a.wav: (no readable audio|its JSON has no)"),
        (compressed, r"train-001.tar: cut short, or no plain tar .*gunzip"),
        (joined, r"train-001.tar: more follows the end of the tar, at byte [\d,]+: tars joined by cat"),
        (json_of_lists, r"train-001.tar, member a.wav: 'speaker' of its JSON is \{\"id\": 1\}; expected a text"),
        (lambda path: path.write_bytes(b""), r"train-001.tar: cut short"),
    ],
)
def test_a_damaged_shard_is_named_and_nothing_is_written(files, tmp_path, monkeypatch, damage, message):
    damage(shards(files, tmp_path) / "train-001.tar")
    with pytest.raises(UserError, match=message):
        run(monkeypatch, tmp_path, "--train", f"{tmp_path}/train-*.tar", *FIELDS)
    assert not (tmp_path / "out").exists()


def test_a_name_in_two_shards_names_both(files, tmp_path, monkeypatch):
    write_tar(shards(files, tmp_path) / "train-002.tar", samples(files, ["u3"]))
    with pytest.raises(UserError, match=r"appear twice: s0-part_u3 \(.*train-001.tar:\d+.* and .*train-002.tar:\d+"):
        run(monkeypatch, tmp_path, "--train", f"{tmp_path}/train-*.tar", *FIELDS)
    assert not list((tmp_path / "out").iterdir())


def test_a_refused_import_leaves_the_sets_that_were_there(files, tmp_path, monkeypatch):
    pattern = f"{shards(files, tmp_path)}/train-*.tar"
    before = run(monkeypatch, tmp_path, "--train", pattern, *FIELDS)
    write_tar(tmp_path / "train-002.tar", samples(files, ["u3"]))
    with pytest.raises(UserError, match="appear twice"):
        run(monkeypatch, tmp_path, "--train", pattern, *FIELDS)
    assert {name: read_table(tmp_path / "out/train" / name) for name in before} == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dev", "train"]


def test_null_is_no_text(files, tmp_path, monkeypatch):
    members = {}
    for name, path in files.items():
        members |= {f"{name}.flac": path.read_bytes(), f"{name}.json": b'{"words": null, "id": 7.5}'}
    write_tar(tmp_path / "a.tar", members)
    write_tar(tmp_path / "b.tar", {f"b{name}": content for name, content in members.items()})
    run(monkeypatch, tmp_path, "--train", tmp_path / "a.tar", "--dev", tmp_path / "b.tar", "--text", "words",
        "--speaker", "id")  # fmt: skip
    assert not (tmp_path / "out/train/text").exists()
    assert set(read_table(tmp_path / "out/train/utt2spk").values()) == {"7.5"}


def test_no_utterance_at_all_is_one_message(tmp_path, monkeypatch):
    write_tar(tmp_path / "a.tar", {"README": b"nothing"})
    with pytest.raises(UserError, match=r"a.tar: no utterance in this shard, nor in any other"):
        run(monkeypatch, tmp_path, "--train", tmp_path / "a.tar")


def test_what_is_no_shard(files, tmp_path):
    folder = shards(files, tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text(f"{folder}/train-{{000..001}}.tar\n")
    assert [shard.kind for shard in list_shards(f"{tmp_path}/list.txt", "")] == ["tar", "tar"]
    assert list_shards(f"{folder}/train-*.tar", "") == list_shards(f"{tmp_path}/list.txt", "")
    for words, message in (
        (f"{folder}/train-{{000..002}}.tar", r"train-002.tar: no such shard"),
        (f"{folder}/dev-*.tar", "matches no file"),
        (f"{folder}/train-000.tar {folder}/train-*.tar", "named twice"),
        (f"{tmp_path}/empty", "no cuts.*no .tar and no .parquet in this folder"),
        (f"hf:{tmp_path}/empty", "no .parquet in it"),
        (f"hf:{tmp_path}/none", "no such folder"),
        (str(files["u0"]), "expected .tar, .parquet"),
        ("", "no shard is named"),
    ):
        with pytest.raises(UserError, match=message):
            list_shards(words, "train")


def test_all_in_one_set_is_one_message(files, tmp_path, monkeypatch):
    shards(files, tmp_path)
    with pytest.raises(UserError, match=r"change --valid_share, or name shards with --dev"):
        run(monkeypatch, tmp_path, "--train", f"{tmp_path}/train-*.tar", "--valid_share", "0.9999")
    tables = run(monkeypatch, tmp_path, "--train", f"{tmp_path}/train-000.tar", "--dev", f"{tmp_path}/train-001.tar")
    assert len(tables["wav.scp"]) == 4
    with pytest.raises(UserError, match="in --train and in --dev"):
        run(monkeypatch, tmp_path, "--train", f"{tmp_path}/train-*.tar", "--dev", f"{tmp_path}/train-001.tar")
