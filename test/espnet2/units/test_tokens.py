"""Discrete tokens of any Kaldi data folder: k-means or codebook ids, without repeats, BPE over units, text and arks."""

import json
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
from tiny_packed import write_kmeans
from tiny_units import run_program, write_experiment

from espnet2.units.tokens import TokenOptions, write_tokens
from espnet2.units.unit_file import UnitCard
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table, write_table


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """data/<set> with a file, a pipe and segments."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate("ab"):
        noise = np.random.default_rng(seed).integers(-3000, 3000, 20000).astype(np.int16)
        soundfile.write(folder / f"{name}.wav", noise, 16000)
    write_table(folder / "wav.scp", [("a", f"{folder}/a.wav"), ("b", f"cat {folder}/b.wav |")])
    write_table(folder / "segments", [("a-0", "a 0 0.6"), ("a-1", "a 0.6 1.25"), ("b-0", "b 0 1")])
    return folder


def units_of(folder: Path) -> dict[str, list[int]]:
    return {name: [int(unit) for unit in row.split()] for name, row in read_table(folder / "units.txt").items()}


def without_repeats(units: list[int]) -> list[int]:
    return [unit for i, unit in enumerate(units) if i == 0 or unit != units[i - 1]]


def test_ids_of_a_k_means_and_its_own_model(tmp_path, data):
    model = write_experiment(tmp_path / "exp")
    kmeans = write_kmeans(tmp_path / "km", model)
    run_program("ssl_dump_labels", "--kmeans", kmeans, "--num_clusters", 4, data, tmp_path / "out")
    run_program("ssl_dump_features", "--model", model, "--kmeans", kmeans, "--format", "units", data, tmp_path / "same")
    units = units_of(tmp_path / "out")
    assert units == units_of(tmp_path / "same") and list(units) == ["a-0", "a-1", "b-0"]
    assert read_table(tmp_path / "out/text") == read_table(tmp_path / "out/units.txt")
    assert (tmp_path / "out/tokens.txt").read_text() == "0\n1\n2\n3\n"
    about = json.loads((tmp_path / "out/labels.json").read_text())
    assert (about["num_units"], about["label_rate"], about["deduplicated"], about["bpe"]) == (4, 50.0, False, None)


def test_ids_of_a_k_means_of_mfcc_need_no_model(tmp_path, data, corpus):
    kmeans = tmp_path / "mfcc"
    sample = ["--dump_sets", corpus / "dump/train"]
    run_program("ssl_sample_features", *sample, "--output_dir", tmp_path / "sample")
    run_program("ssl_learn_kmeans", *sample, "--features_dir", tmp_path / "sample", "--num_clusters", 5, kmeans)
    run_program("ssl_kmeans_labels", kmeans, corpus / "dump/dev")
    run_program("ssl_kmeans_labels", "--merge", kmeans, corpus / "dump/dev")
    jobs = ["--kmeans", kmeans, "--num_jobs", 2, corpus / "dump/dev", tmp_path / "o"]
    for job in (2, 1):
        run_program("ssl_dump_labels", "--job", job, *jobs)
    assert (tmp_path / "o/units.txt").read_text() == (kmeans / "labels/dev.txt").read_text()  # as stage 5 labels it
    run_program("ssl_dump_labels", "--kmeans", kmeans, "--deduplicate", data, tmp_path / "raw")
    assert len(units_of(tmp_path / "raw")["b-0"]) == 98


def test_without_repeats_and_how_long_each_lasts(tmp_path, data):
    kmeans = write_kmeans(tmp_path / "km", write_experiment(tmp_path / "exp"))
    run_program("ssl_dump_labels", "--kmeans", kmeans, "--deduplicate", data, tmp_path / "out")
    text, durations = read_table(tmp_path / "out/text"), read_table(tmp_path / "out/durations.txt")
    for name, units in units_of(tmp_path / "out").items():
        tokens, frames = [[int(word) for word in table[name].split()] for table in (text, durations)]
        assert tokens == without_repeats(units)
        assert np.repeat(tokens, frames).tolist() == units


def test_arks_hold_the_same(tmp_path, data):
    kmeans = write_kmeans(tmp_path / "km", write_experiment(tmp_path / "exp"))
    run_program("ssl_dump_labels", "--kmeans", kmeans, "--format", "ark", data, tmp_path / "out")
    vectors = {name: vector.tolist() for name, vector in kaldiio.load_scp(str(tmp_path / "out/labels.scp")).items()}
    assert vectors == units_of(tmp_path / "out")
    sequential = {name: vector.tolist() for name, vector in kaldiio.load_ark(str(tmp_path / "out/labels.ark"))}
    assert sequential == vectors


def test_every_codebook_has_a_folder(tmp_path, data):
    model = write_experiment(tmp_path / "exp", "dinosr")
    run_program("ssl_dump_labels", "--model", model, "--kmeans", "codes", data, tmp_path / "out")
    folders = sorted(path for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert [path.name for path in folders] == ["codes_1", "codes_2"]
    for folder in folders:
        assert read_table(folder / "text") == read_table(folder / "units.txt")
        assert (folder / "tokens.txt").read_text().split() == [str(unit) for unit in range(11)]


def table(folder: Path, num_units: int = 6, *, hash_: str = "h", rows: int = 40) -> Path:
    """units.txt in which 2 is always followed by 0 and 1; unit 5 is never heard."""
    generator = np.random.default_rng(len(folder.name))
    folder.mkdir()
    with open(folder / "units.txt", "w", encoding="utf-8") as stream:
        for row in range(rows):
            drawn = generator.integers(2, 5, 30).tolist()
            units = [unit for sound in drawn for unit in ([2, 2, 0, 1] if sound == 2 else [sound])]
            print(f"u{row:02d}", *units, file=stream)
    UnitCard(num_units, 50.0, "6 clusters", hash_).write(folder)
    return folder / "units.txt"


def expand(text: str) -> list[int]:
    return [int(unit) for token in text.split() for unit in token.split("_")]


@pytest.mark.parametrize("deduplicate", [True, False])
def test_pieces_are_units_that_go_together(tmp_path, deduplicate):
    path = table(tmp_path / "set")
    write_tokens(path, TokenOptions(deduplicate, num_pieces=16))
    pieces = (tmp_path / "set/tokens.txt").read_text().split()
    assert len(pieces) == len(set(pieces)) == 13  # 16 less sentencepiece's own
    assert {"0", "1", "2", "3", "4", "5"} <= set(pieces)  # each unit, heard or not
    assert ("2_0_1" if deduplicate else "2_2_0_1") in pieces
    units, text = units_of(tmp_path / "set"), read_table(tmp_path / "set/text")
    durations = read_table(tmp_path / "set/durations.txt")
    for name, row in text.items():
        assert set(row.split()) <= set(pieces)
        assert expand(row) == (without_repeats(units[name]) if deduplicate else units[name])
        frames = [int(word) for word in durations[name].split()]
        assert len(frames) == len(row.split()) and sum(frames) == len(units[name])
    write_tokens(path, TokenOptions(deduplicate, num_pieces=16, format="ark"))
    for name, vector in kaldiio.load_scp(str(tmp_path / "set/labels.scp")).items():
        assert " ".join(pieces[number] for number in vector) == text[name]


def test_a_bpe_is_used_on_another_set_and_learned_once(tmp_path):
    write_tokens(table(tmp_path / "train"), TokenOptions(True, num_pieces=16))
    model = tmp_path / "train/bpe.model"
    before = model.stat().st_mtime_ns
    write_tokens(tmp_path / "train/units.txt", TokenOptions(True, num_pieces=16))
    assert model.stat().st_mtime_ns == before
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/units.txt").write_text("x 5 2 2 0 1 5\ny\n")
    UnitCard(6, 50.0, "6 clusters", "h").write(tmp_path / "dev")
    write_tokens(tmp_path / "dev/units.txt", TokenOptions(True, bpe_model=model))
    assert (tmp_path / "dev/text").read_text() == "x 5 2_0_1 5\ny\n"  # y has no frame
    assert (tmp_path / "dev/tokens.txt").read_bytes() == (tmp_path / "train/tokens.txt").read_bytes()


@pytest.mark.parametrize(
    ("options", "num_units", "hash_", "message"),
    [
        ({"deduplicate": True}, 7, "h", r"learned on other units \(num_units 6, not 7\)"),
        ({"deduplicate": True}, 6, "x", r"learned on other units \(units_hash h, not x\)"),
        ({}, 6, "h", r"deduplicated True, not False"),
    ],
)
def test_a_bpe_of_other_units_is_refused(tmp_path, options, num_units, hash_, message):
    write_tokens(table(tmp_path / "train"), TokenOptions(True, num_pieces=16))
    other = table(tmp_path / "other", num_units, hash_=hash_)
    with pytest.raises(UserError, match=message):
        write_tokens(other, TokenOptions(**options, bpe_model=tmp_path / "train/bpe.model"))
    assert not (tmp_path / "other/text").exists()


def test_a_damaged_card_is_named(tmp_path):
    path = table(tmp_path / "set")
    card = tmp_path / "set/units.json"
    for text, message in (
        ('{"num_units": 6,', r":\d+: damaged or cut short"),
        ('{"num_units": "6"}', ": has '6' as num_units"),
        ('{"num_units": 6}', ": lacks 'label_rate'"),
    ):
        card.write_text(text)
        with pytest.raises(UserError, match=f"^{card}{message}.*: run ssl_dump_labels again$"):
            write_tokens(path, TokenOptions())
    card.unlink()
    with pytest.raises(UserError, match=f"^{card} is missing: run ssl_dump_labels again$"):
        write_tokens(path, TokenOptions())


def test_mistakes(tmp_path, data):
    path = table(tmp_path / "set", 4)  # of another K than its units
    with pytest.raises(UserError, match=r"units\.txt:1: unit 4, expected 0 to 3: is it of another k-means\?"):
        write_tokens(path, TokenOptions())
    assert not (tmp_path / "set/text").exists()
    for pieces, message in ((9, "6 units and 3 control pieces need more"), (5000, "--nbpe 5000 does not suit")):
        with pytest.raises(UserError, match=message):
            write_tokens(table(tmp_path / f"b{pieces}"), TokenOptions(num_pieces=pieces))
    with pytest.raises(UserError, match="learn a BPE or take one, not both"):
        TokenOptions(num_pieces=9, bpe_model=path)
    with pytest.raises(UserError, match="expected a BPE of units there"):
        write_tokens(table(tmp_path / "c"), TokenOptions(bpe_model=tmp_path / "none.model"))
    model = write_experiment(tmp_path / "exp")
    kmeans = write_kmeans(tmp_path / "km", model)
    with pytest.raises(UserError, match=r"--num_clusters 5: 4 clusters of layer 2 .* has 4 units"):
        run_program("ssl_dump_labels", "--kmeans", kmeans, "--num_clusters", 5, data, tmp_path / "out")
    with pytest.raises(UserError, match="--model is required"):
        run_program("ssl_dump_labels", data, tmp_path / "out")
    write_experiment(model, seed=1)  # other weights since
    with pytest.raises(UserError, match="units of other features mean nothing here"):
        run_program("ssl_dump_labels", "--kmeans", kmeans, data, tmp_path / "out")
