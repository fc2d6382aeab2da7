"""Alignments in every form that is read, and those of other audio, which are refused or left out, never counted."""

from pathlib import Path

import numpy as np
import pytest
from tiny_training import make_set
from tiny_units import write_phones

from espnet2.data.index import AudioIndex
from espnet2.units.aligned import align_set
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.features import MfccFeatures
from espnet2.utils.errors import UserError

PHONES = [(0.0, 0.3, ""), (0.3, 0.55, "AH1"), (0.55, 0.9, "t")]  # as MFA writes them: silence has no label
LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.9
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.9
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.9
            text = "a ""word"" 1 2"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 0.9
        intervals: size = 3
"""
INTERVAL = """        intervals [{number}]:
            xmin = {start}
            xmax = {end}
            text = "{label}"
"""


def textgrid(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [INTERVAL.format(number=i, start=a, end=b, label=label) for i, (a, b, label) in enumerate(PHONES, 1)]
    path.write_text(LONG + "".join(rows), encoding="utf-8")


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """A recipe folder with dump/dev: four utterances of one to two seconds, without phones."""
    root = tmp_path_factory.mktemp("plain")
    make_set(root, "dev", num_utterances=4, seed=0)
    return root


@pytest.fixture
def dev(plain, tmp_path) -> Path:
    """A copy that a test may write into."""
    folder = tmp_path / "dump" / "dev"
    folder.mkdir(parents=True)
    for path in (plain / "dump/dev").iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def names_of(dev: Path) -> list[str]:
    index = AudioIndex.open(dev)
    return [index.utt_id(row) for row in range(len(index))]


def seconds_of(dev: Path) -> list[float]:
    index = AudioIndex.open(dev)
    return [int(count) / index.sample_rate for count in index.num_samples]


def read(dev: Path, source: Path | None = None):
    return read_phones(find_phones(dev, source), dev)


def symbols(phones, utt_id: str) -> list[str]:
    return [phones.alignments.phones[number] for number in phones.alignments.utterances[utt_id].phones]


@pytest.mark.parametrize("form", ["speakers", "joined", "flat", "set"])
def test_textgrids_are_found_by_their_names(dev, tmp_path, form):
    source = tmp_path / "aligned"
    for name in names_of(dev):
        speaker, _, rest = name.partition("-")
        where = {"speakers": f"{speaker}/{name}", "joined": f"{speaker}/{rest}", "flat": name, "set": f"dev/{name}"}
        textgrid(source / f"{where[form]}.TextGrid")
    textgrid(source / "someone/else.TextGrid")  # of another set
    phones = read(dev, source)
    assert sorted(phones.alignments.utterances) == sorted(names_of(dev)) and not phones.notes
    first = phones.alignments.utterances[names_of(dev)[0]]
    assert symbols(phones, names_of(dev)[0]) == ["SIL", "AH", "t"]
    assert first.starts.tolist() == [0, 0.3, 0.55] and first.ends.tolist() == [0.3, 0.55, 0.9]


def test_two_textgrids_of_one_utterance_are_refused(dev, tmp_path):
    name = names_of(dev)[0]
    for folder in ("one", "two"):
        textgrid(tmp_path / "aligned" / folder / f"{name}.TextGrid")
    with pytest.raises(UserError, match=f"both are of the utterance {name}"):
        find_phones(dev, tmp_path / "aligned")


def test_a_textgrid_without_phones_is_named(dev, tmp_path):
    path = tmp_path / "aligned" / f"{names_of(dev)[0]}.TextGrid"
    textgrid(path)
    path.write_text(path.read_text().replace('"phones"', '"letters"'))
    with pytest.raises(
        UserError, match=r"expected the tier one of phones, .*, found 0 of these in words, letters; .*:tier=<name>"
    ):
        read(dev, tmp_path / "aligned")


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("table_name", ["dev.tsv", "dev/phones.tsv", "phones.tsv"])
def test_tsv_with_a_phone_for_every_10_ms(dev, tmp_path, table_name):
    frames = ",".join(["sil"] * 30 + ["a"] * 25 + ["b"] * 40)
    write(tmp_path / "aligned" / table_name, *(f"{name}\t{frames}" for name in names_of(dev)))
    phones = read(dev, tmp_path / "aligned")
    alignment = phones.alignments.utterances[names_of(dev)[1]]
    assert symbols(phones, names_of(dev)[1]) == ["sil", "a", "b"]
    assert alignment.starts.tolist() == [0, 0.3, 0.55] and alignment.ends.tolist() == [0.3, 0.55, 0.95]
    # Centres at 12.5, 32.5, ... ms.
    assert alignment.frames(16, 50).tolist() == [0] * 15 + [1]


def test_tsv_with_times(dev, tmp_path):
    lines = [f"{name}\t{start}\t{end}\t{label or 'SIL'}" for name in names_of(dev) for start, end, label in PHONES]
    table = write(tmp_path / "all.tsv", "utterance\tstart\tend\tphone", *lines)
    assert symbols(read(dev, table), names_of(dev)[0]) == ["SIL", "AH1", "t"]  # a table's labels are taken as they are


def test_ctm_folders_come_before_the_phones_of_the_set(dev, tmp_path):
    write_phones(dev)
    assert find_phones(dev).paths == (dev / "phones.ctm",)
    lines = [f"{name} 1 0 1 x" for name in names_of(dev)]
    for table_name in ("phones.ctm", "dev/phones.ctm", "dev.ctm"):
        table = write(tmp_path / "aligned" / table_name, *lines)
        assert find_phones(dev, tmp_path / "aligned").paths == (table,)
    assert symbols(read(dev, tmp_path / "aligned"), names_of(dev)[0]) == ["x"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no alignments of .*dev in it .*ln -s .*phones\.ctm"):  # never other ones
        find_phones(dev, tmp_path / "empty")
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        find_phones(dev, tmp_path / "nowhere")


def test_nothing_to_find(dev, tmp_path):
    (tmp_path / "empty").mkdir()
    assert find_phones(dev) is None and find_phones(dev, tmp_path / "empty") is None
    with pytest.raises(UserError, match=r"no phone alignments of .*dev, neither there nor in .*empty: put phones\.ctm"):
        align_set(dev, [MfccFeatures(16000)], 50.0, 100, alignments=tmp_path / "empty")
    assert align_set(dev, [MfccFeatures(16000)], 50.0, 10**9, need_phones=False).phones is None


def test_phones_of_another_corpus_are_refused(dev):
    write(dev / "phones.ctm", "LJ001-0001 1 0 0.5 a")
    with pytest.raises(UserError, match=r"holds none of .*begins with 'LJ001-0001', the set with 'dev"):
        read(dev)


def test_phones_of_other_audio_with_the_same_names_are_refused(dev):
    write(dev / "phones.ctm", *(f"{name} 1 0 9.5 a" for name in names_of(dev)))
    with pytest.raises(UserError, match=r"phones of 4 of 4 utterances end behind their audio .*align this audio again"):
        read(dev)


def test_a_few_times_beyond_the_audio_are_left_out_and_named(dev, monkeypatch):
    monkeypatch.setattr("espnet2.units.alignment.MOST_BEYOND", 0.25)
    ends = [seconds + (0.2 if row == 2 else 0.09) for row, seconds in enumerate(seconds_of(dev))]
    write(dev / "phones.ctm", *(f"{name} 1 0 {end} a" for name, end in zip(names_of(dev), ends, strict=True)))
    phones = read(dev)
    wrong = names_of(dev)[2]
    assert sorted(phones.alignments.utterances) == sorted(set(names_of(dev)) - {wrong})
    (note,) = phones.notes
    assert f"left out 1 ({wrong}) utterances whose phones end behind their audio" in note
    aligned = align_set(dev, [MfccFeatures(16000)], 50.0, 10**9)
    assert wrong not in [aligned.index.utt_id(row) for row in aligned.rows] and aligned.notes == (note,)


def test_missing_phones_are_left_out_and_counted(dev):
    names = names_of(dev)
    write(dev / "phones.ctm", *(f"{name} 1 0 1 {'ab'[row]}" for row, name in enumerate(names[:2])))
    aligned = align_set(dev, [MfccFeatures(16000)], 50.0, 10**9)
    assert [aligned.index.utt_id(row) for row in aligned.rows] == names[:2]
    assert f"no phones for 2 ({names[2]}, {names[3]}) of 4 utterances" in aligned.notes[0]
    assert aligned.symbols == ("a", "b") and set(np.unique(aligned.phones)) <= {-1, 0, 1}
    # What is asked for is filled with those that have phones.
    half = sum(-(-((round(s * 16000) - 400) // 160 + 1) // 2) for s in seconds_of(dev)[:2])
    assert align_set(dev, [MfccFeatures(16000)], 50.0, half).frame_counts.sum() == half


def test_a_small_part_with_phones_is_told(dev):
    write(dev / "phones.ctm", *(f"{name} 1 0 0.1 a" for name in names_of(dev)))
    assert "its phones cover only" in read(dev).notes[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["dev-000 a,b"], r"tsv:1: expected '<utt> TAB <phone>,<phone>"),
        (["dev-000\ta,b", "dev-000\ta,b"], r"tsv:2: expected"),
        (["dev-000\t0\t1\ta", "dev-000\t0\tnan\ta"], r"tsv:2: expected"),
        (["dev-000\t0.5\t1\ta", "dev-000\t0\t0.5\ta"], "the phones of dev-000 are not in order of time"),
        (["dev-000\t0.5\t0.2\ta"], "the phones of dev-000 are not in order of time"),
        ([], "no phones in it"),
    ],
)
def test_malformed_tables(dev, tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        read(dev, write(tmp_path / "x.tsv", *lines))


@pytest.mark.parametrize("times", ["nan 0.1", "0 -0.1", "-1 0.5", "0 inf"])
def test_times_that_are_none(dev, times):
    write(dev / "phones.ctm", f"dev-000 1 {times} a")
    with pytest.raises(UserError, match=r"phones\.ctm:1: expected"):
        read(dev)


def test_of_a_large_set_only_some_phones_are_read(dev, monkeypatch):
    write(dev / "phones.ctm", *(f"{name} 1 0 1 a" for name in names_of(dev)))
    whole = align_set(dev, [MfccFeatures(16000)], 50.0, 50)
    assert len(read(dev).alignments.utterances) == 4
    monkeypatch.setattr("espnet2.units.alignment.MOST_UTTERANCES", 2)
    phones = read(dev)
    assert len(phones.alignments.utterances) == 2 and not phones.notes
    part = align_set(dev, [MfccFeatures(16000)], 50.0, 50)
    assert part.rows.tolist() == whole.rows.tolist()  # those that are taken first are looked at
    write(dev / "phones.ctm", "LJ001-0001 1 0 0.5 a")
    with pytest.raises(UserError, match="no phones in it of this set: is it of another corpus"):
        read(dev)


@pytest.mark.parametrize("name", ["Phones", "phone", "phonemes", "segments", "MAU", "Anna - phones"])
def test_usual_names_of_the_tier_are_found(dev, tmp_path, name):
    for utt_id in names_of(dev):
        write(tmp_path / "grids" / f"{utt_id}.TextGrid", *grid(("words", "w"), (name, "AH")))
    assert symbols(read(dev, tmp_path / "grids"), names_of(dev)[0]) == ["AH"]


def test_the_tier_is_chosen_by_an_option_and_is_part_of_the_hash(dev, tmp_path):
    for utt_id in names_of(dev):
        write(tmp_path / "grids" / f"{utt_id}.TextGrid", *grid(("ORT", "w"), ("hand", "AH"), ("machine", "EH")))
    with pytest.raises(UserError, match="in ORT, hand, machine"):
        read(dev, tmp_path / "grids")
    hashes = set()
    for tier, phone in (("hand", "AH"), ("machine", "EH")):
        source = f"{tmp_path}/grids:tier={tier}"
        assert symbols(read(dev, source), names_of(dev)[0]) == [phone]
        hashes.add(find_phones(dev, source).hash)
    assert len(hashes) == 2
    with pytest.raises(UserError, match="expected the tier 'foot', found 0"):
        read(dev, f"{tmp_path}/grids:tier=foot")


def grid(*tiers: tuple[str, str]) -> list[str]:
    """Lines of a short TextGrid of 0.5 s with one interval in each tier."""
    lines = ['"ooTextFile"', '"TextGrid"', "0", "0.5", "<exists>", str(len(tiers))]
    for name, label in tiers:
        lines += ['"IntervalTier"', f'"{name}"', "0", "0.5", "1", "0", "0.5", f'"{label}"']
    return lines
