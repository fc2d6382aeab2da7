"""What an index is of: other samples have another hash, older indexes keep theirs, damage is told and mended."""

import json
import shutil

import numpy as np
import pytest
from index_set import make_set, write

from espnet2.bin import ssl_build_index
from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.index_card import NAMES_AND_LENGTHS, tables_hash
from espnet2.utils.errors import UserError


def rewrite(folder, **changes):
    """index.json with other values; None takes a key out."""
    path = folder / "index/index.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def as_of_before(folder):
    """The index as versions wrote it whose hash covered names and lengths."""
    build_index(folder)
    stamps = json.loads((folder / "index/index.json").read_text())["stamps"]
    older = tables_hash(folder, NAMES_AND_LENGTHS)
    stamps = {name: stamps[name] for name in NAMES_AND_LENGTHS}
    rewrite(folder, hash=older, hash_covers=None, columns_hash=None, stamps=stamps)
    return older


LINES = [f"{utt} 0.0 1.0" for utt in ("a-1", "a-10", "a-2", "b", "ä", "日本")]
OTHER_SAMPLES = {  # names and lengths are the same
    "another channel": ["a-1 0.25 1.0", *LINES[1:]],
    "another gain": [line.replace("1.0", "0.25") for line in LINES],
    "denoised": [*LINES[:-1], "日本 0.0 0.999"],
}


@pytest.mark.parametrize("case", OTHER_SAMPLES)
def test_other_samples_have_another_hash(tmp_path, case):
    folder = make_set(tmp_path / "x")
    write(folder, "utt2stats", LINES)
    build_index(folder)
    first = AudioIndex.open(folder).hash
    write(folder, "utt2stats", OTHER_SAMPLES[case])
    with pytest.raises(UserError, match="utt2stats changed since the index was built"):
        AudioIndex.open(folder)
    build_index(folder)
    index = AudioIndex.open(folder)
    assert index.hash != first and index.knows_samples
    write(folder, "utt2stats", LINES)
    build_index(folder)
    assert AudioIndex.open(folder).hash == first


def test_an_older_index_keeps_its_hash_and_says_what_it_does_not_know(tmp_path, monkeypatch, capsys):
    folder = make_set(tmp_path / "x")
    older = as_of_before(folder)
    assert AudioIndex.open(folder).hash == older
    monkeypatch.setattr("sys.argv", ["ssl_build_index", str(folder)])
    ssl_build_index.main()
    assert AudioIndex.open(folder).hash == older
    assert capsys.readouterr().err.count("it does not know") == 1
    write(folder, "utt2lang", ["b deu"])  # written anew, for another reason than its audio
    ssl_build_index.main()
    index = AudioIndex.open(folder)
    assert index.hash == older and not index.knows_samples and index.languages == ["und", "deu"]
    monkeypatch.chdir(tmp_path)  # another root: a set made by hand
    ssl_build_index.main()
    assert AudioIndex.open(folder).hash == older


def test_an_older_index_notices_other_samples_from_now_on(tmp_path):
    folder = make_set(tmp_path / "x")
    older = as_of_before(folder)
    for name in NAMES_AND_LENGTHS:
        write(folder, name, (folder / name).read_text().splitlines())  # stage 3 and 4 write all tables
    assert AudioIndex.open(folder).hash == older
    write(
        folder, "utt2stats", [line.replace("0.25", "0.5") for line in (folder / "utt2stats").read_text().splitlines()]
    )
    with pytest.raises(UserError, match="run stage 6 again"):
        AudioIndex.open(folder)
    build_index(folder)
    index = AudioIndex.open(folder)
    assert index.hash not in (older, "") and index.knows_samples


def cut(path):
    path.write_bytes(path.read_bytes()[:-4])


DAMAGES = {
    "a column cut short": lambda index: cut(index / "num_samples.npy"),
    "a column of other length": lambda index: np.save(index / "mean.npy", np.zeros(5, np.float32)),
    "a column of other type": lambda index: np.save(index / "lang_ids.npy", np.zeros(6, np.int64)),
    "no column": lambda index: (index / "folder_ids.npy").unlink(),
    "an empty column": lambda index: (index / "variance.npy").write_bytes(b""),
    "a foreign column": lambda index: (index / "variance.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00{" + b"(" * 200),
    "names cut short": lambda index: cut(index / "names.bin"),
    "no ids": lambda index: (index / "utt_ids.bin").write_bytes(b""),
    "offsets of fewer ids": lambda index: np.save(index / "utt_ids_offsets.npy", np.zeros(3, np.int64)),
    "another count": lambda index: rewrite(index.parent, num_utterances=7),
    "no count": lambda index: rewrite(index.parent, num_utterances=None),
    "a text as rate": lambda index: rewrite(index.parent, sample_rate="16k"),
    "a foreign cover": lambda index: rewrite(index.parent, hash_covers=["spk2utt"]),
    "a list as card": lambda index: (index / "index.json").write_text("[]"),
    "a card cut short": lambda index: cut(index / "index.json"),
    "a card of bytes": lambda index: (index / "index.json").write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("case", DAMAGES)
@pytest.mark.parametrize("older", [False, True])
def test_a_damaged_index_is_refused_and_mended_by_what_the_message_names(tmp_path, case, older):
    folder = make_set(tmp_path / "x")
    if older:
        as_of_before(folder)
    else:
        build_index(folder)
    before = AudioIndex.open(folder).hash
    DAMAGES[case](folder / "index")
    with pytest.raises(UserError, match=r"damaged.*ssl_build_index"):
        AudioIndex.open(folder)
    index = AudioIndex.open(build_index(folder))
    assert index.num_samples.tolist() == list(range(1000, 1006)) and index.utt_id(5) == "日本"
    assert index.hash == before or (older and index.knows_samples)


def test_what_opening_cannot_see_is_mended_too(tmp_path):
    folder = make_set(tmp_path / "x")
    build_index(folder)
    whole = tmp_path / "whole"
    shutil.copytree(folder / "index", whole)
    for name in ("num_samples", "folder_ids", "utt_ids_offsets"):
        data = bytearray((folder / f"index/{name}.npy").read_bytes())
        data[-3] ^= 0xFF
        (folder / f"index/{name}.npy").write_bytes(data)
        build_index(folder)
        assert (folder / f"index/{name}.npy").read_bytes() == (whole / f"{name}.npy").read_bytes()
    rewrite(folder, hash="0" * 16)
    build_index(folder)
    assert json.loads((folder / "index/index.json").read_text()) == json.loads((whole / "index.json").read_text())
