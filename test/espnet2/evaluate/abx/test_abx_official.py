"""Official .item files: the figures that fastabx gives, the clocks, and files that are of something else."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from abx_official import FIGURES, FRAMES_PER_SECOND, as_ids, write_official
from tiny_training import make_set
from tiny_units import run_program, write_experiment

from espnet2.data.waveform import VARIANCE_FLOOR
from espnet2.evaluate.abx.cells import make_cells
from espnet2.evaluate.abx.clock import CLOCKS
from espnet2.evaluate.abx.item_file import ItemFile, Recording, find_item_files
from espnet2.evaluate.abx.part import Abx
from espnet2.evaluate.abx.rows import Materials, pair_errors
from espnet2.evaluate.abx.rule import CONDITIONS
from espnet2.evaluate.part import EvaluationRequest, read_part, run_parts
from espnet2.evaluate.systems import System, open_system
from espnet2.models.find import find_model
from espnet2.utils.errors import UserError

RATE = 16_000
HEADER = "#file onset offset #phone prev-phone next-phone speaker\n"


@pytest.fixture(scope="module")
def official(tmp_path_factory) -> tuple[Path, dict[str, torch.Tensor]]:
    folder = tmp_path_factory.mktemp("items")
    return folder, write_official(folder)


def recordings_of(features: dict[str, torch.Tensor]) -> dict[str, Recording]:
    return {
        file: Recording(number, len(frames), (len(frames) + 1) / FRAMES_PER_SECOND)
        for number, (file, frames) in enumerate(features.items())
    }


@pytest.mark.parametrize(("condition", "mode", "distance"), list(FIGURES))
def test_figures_on_official_files_are_those_of_fastabx(official, condition, mode, distance):
    folder, features = official
    (file,) = find_item_files([folder / f"{condition.split('-')[0]}-dev-clean.item"], "dev_clean")
    assert CONDITIONS[condition] in file.conditions
    recordings, notes = file.match(recordings_of(features).get, "dump/dev_clean", "84-121123-0000")
    chosen = as_ids(features) if distance == "equal" else features
    items = file.items(recordings, CONDITIONS[condition], CLOCKS["zerospeech"], frame_rate=50.0, max_group=None)
    by_context = CONDITIONS[condition].context == "within"
    cells = make_cells(items, mode, max_x=None, max_triples=None, by_context=by_context)
    materials = Materials.of(items, np.array([len(frames) for frames in chosen.values()]), [cells])
    errors = pair_errors(materials, materials.comparisons[0], torch.cat(list(chosen.values())), distance)
    assert not notes and not items.dropped
    assert errors.error_rate == pytest.approx(FIGURES[condition, mode, distance], abs=1e-6)


def test_the_clocks_differ_by_the_middle_of_the_step_and_the_end():
    starts, ends = np.array([0.0, 0.05, 0.0325]), np.array([0.05, 0.0525, 0.1])
    official = CLOCKS["zerospeech"].frames(starts, ends, 50.0, 4)  # middles at 10, 30, 50, 70 ms: both ends count
    assert [column.tolist() for column in official] == [[0, 2, 2], [3, 3, 4]]
    windows = CLOCKS["window"].frames(starts, ends, 50.0, 4)  # middles at 12.5, 32.5, 52.5, 72.5 ms: the end does not
    assert [column.tolist() for column in windows] == [[0, 2, 1], [2, 2, 4]]
    # 0.57 s at 50 per second is frame 28.5 - 0.5 exactly, whatever floating point makes of it
    assert CLOCKS["zerospeech"].frames(np.array([0.57]), np.array([0.57]), 50.0, 100)[0].tolist() == [28]
    rate = 16000 / 320.5  # no whole number of frames per second
    (first,), (stop,) = CLOCKS["zerospeech"].frames(np.array([0.1]), np.array([0.2]), rate, 100)
    middles = (np.arange(100) + 0.5) / rate
    assert np.flatnonzero((middles >= 0.1) & (middles <= 0.2)).tolist() == list(range(first, stop))


def test_spans_are_known_by_name_or_by_overlap_and_folders_by_the_set(official, tmp_path):
    folder, _ = official
    files = find_item_files([folder], "dev_clean")
    assert {file.span: [condition.name for condition in file.conditions] for file in files} == {
        "phoneme": ["phoneme-within", "phoneme-any"],
        "triphone": ["triphone-within"],
    }
    for file in files:
        plain = tmp_path / "dev-clean.item"
        plain.write_text(file.path.read_text().replace(" speaker\n", " talker\n"))
        assert ItemFile.read(plain).span == file.span
    with pytest.raises(UserError, match=r"no items of test_other in it \(expected test-other.item.*it has phoneme-dev"):
        find_item_files([folder], "test_other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r":1: expected the columns '#file onset.*found ''"),
        ("u1 1 0.0 0.1 a\n", r":1: expected the columns .*found 'u1 1 0.0 0.1 a'"),
        (HEADER, "no items in it"),
        (HEADER + "u 0.1 0.2 a b c s\nu 0.1 0.2 a b c\n", r":3: expected 7 fields .*found 'u 0.1 0.2 a b c'"),
        (HEADER + "u 0.2 0.1 a b c s\n", r":2: expected an onset and a later offset in seconds, found '0.2' and '0.1'"),
        (HEADER + "u 0.1 nan a b c s\n", ":2: expected an onset and a later offset"),
        (HEADER + "u 0.1 0,2 a b c s\n", ":2: expected an onset and a later offset"),
    ],
)
def test_a_malformed_file_is_one_message_with_its_line(tmp_path, text, message):
    path = tmp_path / "dev.item"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        ItemFile.read(path)


def test_files_that_are_none(tmp_path):
    (tmp_path / "audio.item").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "audio.item", tmp_path / "nothing.item"):
        with pytest.raises(UserError, match=r"not UTF-8|no such file of ABX items"):
            find_item_files([path], "dev")


def test_items_of_another_corpus_or_of_other_audio_are_refused(official):
    folder, features = official
    (file,) = find_item_files([folder / "phoneme-dev-clean.item"], "dev_clean")
    recordings = recordings_of(features)
    with pytest.raises(UserError, match=r"40 of its 40 files .* not in dump/dev, which has ru_0001.* another corpus"):
        file.match({}.get, "dump/dev", "ru_0001")
    few = dict(list(recordings.items())[:30])
    with pytest.raises(UserError, match=r"10 of its 40 files"):
        file.match(few.get, "dump/dev", "84-121123-0000")
    short = {name: recording._replace(seconds=0.2) for name, recording in recordings.items()}
    with pytest.raises(UserError, match=r"the items of 40 of 40 files end behind their audio .*is other audio"):
        file.match(short.get, "dump/dev", "84-121123-0000")
    most = dict(list(recordings.items())[:-1])
    kept, (note,) = file.match(most.get, "dump/dev", "84-121123-0000")
    assert kept == most and "1 of 40 files" in note and "not those of the whole file" in note
    last = next(iter(recordings))
    kept, (note,) = file.match({**recordings, last: short[last]}.get, "dump/dev", "x")
    assert last not in kept and len(kept) == 39 and "end before their last item does" in note


def test_the_program_scores_features_of_others(official, tmp_path, capsys):
    folder, features = official
    for number, (file, frames) in enumerate(features.items()):  # both forms that others write
        if number % 2:
            torch.save(frames, tmp_path / f"{file}.pt")
        else:
            np.save(tmp_path / f"{file}.npy", frames.numpy())
    items = (folder / "triphone-dev-clean.item", folder / "phoneme-dev-clean.item")
    limits = ("--max_group", 0, "--max_x", 0)
    words = ("--items", *items, "--features", tmp_path, *limits, "--output", tmp_path / "out/abx")
    assert run_program("ssl_abx", *words) == 0
    rows = json.loads((tmp_path / "out/abx.json").read_text())["rows"]
    for row in rows:
        condition = f"{row['span']}-{row['context']}"
        assert row["error_rate"] == pytest.approx(FIGURES[condition, row["mode"], "angular"], abs=1e-6)
    assert len(rows) == 6 and "| triphone-within | zerospeech | within | 30.52 |" in capsys.readouterr().out
    (tmp_path / "abx.item").write_text((folder / items[0].name).read_text().replace("121123", "000000"))
    for words, message in (
        (("--items", tmp_path / "abx.item", "--features", tmp_path / "out"), r"are they of another corpus\?"),
        (("--items", items[0], "--features", tmp_path / "nothing"), "no such folder of features"),
        (
            ("--items", items[0], "--features", tmp_path, "--conditions", "phoneme-any"),
            "its items are triphones",
        ),
        (("--items", items[0]), "give --model with --audio, or --features"),
    ):
        with pytest.raises(UserError, match=message):
            run_program("ssl_abx", *words)


def test_two_arrays_of_one_recording_are_refused(official, tmp_path):
    """Which of both a figure is of would depend on the names of their folders."""
    folder, features = official
    for part in ("old", "new"):
        (tmp_path / part).mkdir()
        for file, frames in features.items():
            torch.save(frames, tmp_path / part / f"{file}.pt")
    with pytest.raises(UserError, match="have the name of one recording"):
        run_program("ssl_abx", "--items", folder / "triphone-dev-clean.item", "--features", tmp_path)


def test_the_part_takes_official_items_and_names_their_rule(tmp_path):
    """Noise is at chance, and what is no speaker's in utt2spk is one in the items."""
    make_set(tmp_path, "train", num_utterances=3)
    make_set(tmp_path, "dev", num_utterances=24, seed=1)
    random = np.random.default_rng(0)
    lines = []
    for number in range(24):
        phones = random.choice(list("abcdef"), 12)
        for t in range(1, 11):
            names = f"{phones[t]} {phones[t - 1]} {phones[t + 1]} s{number % 2}"
            lines.append(f"dev-{number:03d} {0.04 * t:.4f} {0.04 * (t + 1):.4f} {names}\n")
    (tmp_path / "dev.item").write_text(HEADER + "".join(lines))
    sets = {"train_set": tmp_path / "dump/train", "valid_set": tmp_path / "dump/dev"}
    request = EvaluationRequest(
        tmp_path / "exp", **sets, systems=(System("mfcc", "MFCC"),), num_clusters=4, max_valid_frames=50,
        options={"abx": {"items": str(tmp_path), "conditions": "phoneme-any"}},
    )  # fmt: skip
    run_parts([Abx()], request, lambda line: None)
    result = read_part(request.exp, "abx")
    rules = {(row["source"], row["span"], row["context"], row["clock"]) for row in result["rows"]}
    assert rules == {("dev.item", "phoneme", "any", "zerospeech")} and len(result["rows"]) == 6
    assert result["comparisons"][0]["num_items"] == 120  # of 240, 10 of each phone and speaker; all files count
    assert all(abs(row["error_rate"] - 0.5) < 0.1 for row in result["rows"])
    assert {measure.kind.key for measure in Abx().measures(result)} == {
        "abx_phoneme_any_within",
        "abx_phoneme_any_across",
    }
    assert {measure.rule for measure in Abx().measures(result)} == {"dev.item, zerospeech clock"}
    wrong = {**request.options["abx"], "conditions": ["triphone-within"]}
    with pytest.raises(UserError, match=r"its items are phonemes, abx.conditions asks for triphone-within"):
        run_parts([Abx()], EvaluationRequest(**{**vars(request), "options": {"abx": wrong}}), lambda line: None)


def test_the_program_encodes_audio_with_a_model(tmp_path, capsys):
    """Its figures are those of the model's layer, given as features."""
    exp = write_experiment(tmp_path / "exp/tiny")
    audio, features, lines = tmp_path / "audio", tmp_path / "features", []
    features.mkdir()
    random = np.random.default_rng(0)
    extractor = open_system(System("model", "tiny", find_model(exp)), RATE, "cpu", [2])
    for number in range(4):
        wav = (0.1 * random.standard_normal(RATE)).astype(np.float32)
        file = audio / f"s{number % 2}/file{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, wav, RATE, subtype="FLOAT")
        scaled = torch.from_numpy((wav - wav.mean()) / (wav.var() + VARIANCE_FLOOR) ** 0.5)
        (frames,) = extractor.extract([scaled if extractor.normalize else torch.from_numpy(wav)])
        torch.save(frames[0], features / f"file{number}.pt")
        phones = random.choice(list("abcdef"), 22)
        for t in range(1, 21):
            names = f"{phones[t]} {phones[t - 1]} {phones[t + 1]} s{number % 2}"
            lines.append(f"file{number} {0.04 * t:.4f} {0.04 * (t + 1):.4f} {names}\n")
    (tmp_path / "phoneme-dev.item").write_text(HEADER + "".join(lines))
    words = ("--items", tmp_path / "phoneme-dev.item", "--conditions", "phoneme-any")
    run_program("ssl_abx", *words, "--audio", audio, "--model", exp, "--layers", 2, "--output", tmp_path / "ours")
    rate = extractor.geometry.frame_rate
    run_program("ssl_abx", *words, "--features", features, "--frame_rate", rate, "--output", tmp_path / "theirs")
    ours, theirs = (json.loads((tmp_path / f"{name}.json").read_text())["rows"] for name in ("ours", "theirs"))
    assert [row["mode"] for row in ours] == ["within", "across"] and {row["layer"] for row in ours} == {2}
    for row, expected in zip(ours, theirs, strict=True):
        assert row["num_triples"] == expected["num_triples"] > 100
        assert row["error_rate"] == pytest.approx(expected["error_rate"], abs=1e-6)
    (audio / "s0/file0.wav").unlink()
    with pytest.raises(UserError, match="file0"):
        run_program("ssl_abx", *words, "--audio", audio, "--model", exp, "--output", tmp_path / "ours")
