"""A label text, a token list and a set of dump/ in, packed labels or one clear error out."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from espnet2.bin.ssl_import_labels import main
from espnet2.data.geometry import FrameGeometry
from espnet2.data.index import AudioIndex
from espnet2.data.index_build import build_index
from espnet2.data.labels.check import check_training_labels
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.labels.text import import_labels
from espnet2.utils.errors import UserError

NUM_CLASSES = 20
NUM_UTTERANCES = 30


class Case:
    """A set of dump/ with its index, and labels that fit it."""

    def __init__(self, folder: Path) -> None:
        self.dump_set = folder / "dump dir" / "train"
        self.text, self.token_list, self.output = (
            self.dump_set / "text",
            folder / "tokens.txt",
            folder / "packed" / "train",
        )
        draw = np.random.default_rng(0)
        self.num_samples = draw.integers(16000, 48000, NUM_UTTERANCES)
        self.labels = {
            f"spk-utt{number:02d}": draw.integers(0, NUM_CLASSES, (samples - 400) // 320 + 1).tolist()
            for number, samples in enumerate(self.num_samples)
        }
        self.write_set()
        self.write_text(self.labels)
        self.token_list.write_text("".join(f"{number}\n" for number in range(NUM_CLASSES)))

    def write_set(self) -> None:
        self.dump_set.mkdir(parents=True)
        rows = list(zip(self.labels, self.num_samples, strict=True))
        (self.dump_set / "wav.scp").write_text("".join(f"{key} dump/{key}.flac\n" for key, _ in rows))
        (self.dump_set / "utt2num_samples").write_text("".join(f"{key} {samples}\n" for key, samples in rows))
        (self.dump_set / "utt2stats").write_text("".join(f"{key} 0.0 0.01\n" for key, _ in rows))
        (self.dump_set / "format.json").write_text(json.dumps({"sample_rate": 16000}))
        build_index(self.dump_set)

    def write_text(self, labels: dict[str, list]) -> None:
        self.text.write_text("".join(f"{key} {' '.join(map(str, row))}\n" for key, row in labels.items()))

    def run(self, **options):
        return import_labels(self.text, self.token_list, AudioIndex.open(self.dump_set), self.output, **options)

    def check_packed(self) -> None:
        labels = PackedLabels.open(self.output)
        assert [labels.labels(row).tolist() for row in range(len(labels))] == list(self.labels.values())

    def refused(self, **options) -> str:
        with pytest.raises(UserError) as error:
            self.run(**options)
        left = list(self.output.parent.iterdir()) if self.output.parent.exists() else []
        assert left == [], "half-written"
        return str(error.value)


@pytest.fixture
def case(tmp_path) -> Case:
    return Case(tmp_path)


def test_labels_follow_the_rows_of_the_index(case) -> None:
    report = case.run()
    case.check_packed()
    assert (report.labels.num_classes, report.labels.label_rate) == (NUM_CLASSES, 50.0)
    assert report.statistics.num_used_classes == NUM_CLASSES
    assert (report.num_missing, report.num_foreign_lines) == (0, 0)
    index = AudioIndex.open(case.dump_set)
    check_training_labels([report.labels], [index], FrameGeometry(((400, 320),)))


def test_order_of_lines_and_other_utterances_do_not_matter(case) -> None:
    expected = case.run().labels.hash
    lines = [*case.labels.items(), ("aaa", [1, 2]), ("zzz", ["unheard", "of"]), ("spk-utt03b", [])]
    random.Random(1).shuffle(lines)
    case.write_text(dict(lines))
    report = case.run()
    assert report.num_foreign_lines == 3 and report.labels.hash == expected


def test_ids_come_from_the_list_and_not_from_the_numbers(case) -> None:
    by_frequency = [str(number) for number in random.Random(2).sample(range(NUM_CLASSES), NUM_CLASSES)]
    case.token_list.write_text("\n".join(["<blank>", "<unk>", *by_frequency, "<sos/eos>"]) + "\n")
    labels = case.run().labels
    assert labels.num_classes == NUM_CLASSES
    for row, numbers in enumerate(case.labels.values()):
        assert [by_frequency[label] for label in labels.labels(row)] == [str(number) for number in numbers]


def test_symbols_need_not_be_numbers(case) -> None:
    case.write_text({key: [f"unit{label}" for label in row] for key, row in case.labels.items()})
    case.token_list.write_text("".join(f"unit{number}\n" for number in range(NUM_CLASSES)))
    case.run()
    case.check_packed()


def test_tabs_and_blanks_between_symbols_are_one_separator(case) -> None:
    case.text.write_text(case.text.read_text().replace(" ", "\t", 40).replace(" ", "  "))
    case.run()
    case.check_packed()


def test_a_second_import_is_quick_and_a_changed_one_is_not_forgotten(case) -> None:
    first = case.run()
    stamp = (case.output / "labels.json").stat().st_mtime_ns
    again = case.run()
    assert again.statistics is None and (case.output / "labels.json").stat().st_mtime_ns == stamp
    case.labels["spk-utt00"].reverse()
    case.write_text(case.labels)
    assert case.run().labels.hash != first.labels.hash
    case.check_packed()


def test_a_damaged_folder_is_made_anew(case) -> None:
    case.run()
    (case.output / "offsets.npy").write_bytes(b"")
    assert case.run().statistics is not None
    case.check_packed()


def test_a_refused_import_keeps_the_older_labels(case) -> None:
    first = case.run().labels.hash
    case.write_text({key: [0] * len(row) for key, row in case.labels.items()})
    with pytest.raises(UserError, match=r"all .* labels are of class 0"):
        case.run()
    assert PackedLabels.open(case.output).hash == first


def test_missing_utterances(case) -> None:
    missing = [case.labels.pop(key) for key in ("spk-utt05", "spk-utt07")]
    case.write_text(case.labels | {"spk-utt07": []})  # a key without labels has none
    assert missing and "2 of 30 utterances have no labels (spk-utt05, spk-utt07)" in case.refused()
    report = case.run(max_missing_ratio=0.1)
    assert report.num_missing == 2 and report.labels.lengths[[5, 7]].tolist() == [0, 0]


def test_labels_of_another_set(case) -> None:
    case.write_text({f"other-{key}": row for key, row in case.labels.items()})
    assert "30 of 30 utterances have no labels" in case.refused(max_missing_ratio=1.0)


def test_an_empty_text(case) -> None:
    case.text.write_text("")
    assert "30 of 30 utterances have no labels" in case.refused()


def test_ids_outside_the_list(case) -> None:
    for key in list(case.labels)[4:12]:
        case.labels[key][3] = NUM_CLASSES
    case.write_text(case.labels)
    message = case.refused()
    assert "labels outside the token list of 20 symbols ('0', '1', '2' .. '19')" in message
    assert "different clusters" in message and message.count("\n") == 5
    assert f"{case.text}:5: spk-utt04: '20'" in message


@pytest.mark.parametrize("symbol", ["03", "3.0", "-1", "+3", "<unk>"])
def test_numbers_are_never_parsed(case, symbol: str) -> None:
    case.labels["spk-utt29"][-1] = symbol
    case.write_text(case.labels)
    message = case.refused()
    assert f"spk-utt29: '{symbol}'" in message and ("special symbols" in message) == (symbol == "<unk>")


def test_a_wrong_rate(case) -> None:
    assert "about 50 labels per second: pass --label_rate 50" in case.refused(label_rate=100)
    case.write_text({key: row[::16] for key, row in case.labels.items()})
    assert "words, letters or phones" in case.refused()


def test_counts_that_do_not_fit(case) -> None:
    case.write_text({key: row[:-5] if key < "spk-utt06" else row for key, row in case.labels.items()})
    message = case.refused()
    assert "6 of 30 utterances have more or fewer labels" in message and message.count("\n") == 5
    assert case.run(tolerance_labels=5).labels.label_rate == 50


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"spk-utt03 1 2 3\r\n", "text:31: line ends in CR LF"),
        (b"spk-utt03 1 2 3\n", "text:31: utterance 'spk-utt03' is also on line 4"),
        (b"\n", "text:31: empty line"),
        (b"spk\xff 1 2\n", "text:31: not UTF-8"),
    ],
)
def test_bad_lines(case, line: bytes, message: str) -> None:
    case.text.write_bytes(case.text.read_bytes() + line)
    assert message in case.refused()


def test_missing_files(case) -> None:
    case.text.unlink()
    assert "no such label text" in case.refused()


def test_command_line(case, capsys, caplog) -> None:
    caplog.set_level("INFO")
    options = ["--dump_set", str(case.dump_set), "--token_list", str(case.token_list), "--output", str(case.output)]
    main(options)
    case.check_packed()
    for part in ("50 labels per second (found from the counts)", "20 of 20 classes used", "perplexity"):
        assert part in caplog.text
    main(options)
    assert "up to date" in caplog.text


def test_command_line_error_is_one_message_and_a_status(case, root) -> None:
    case.text.unlink()
    command = [sys.executable, "-m", "espnet2.bin.ssl_import_labels", "--dump_set", str(case.dump_set)]
    command += ["--token_list", str(case.token_list), "--output", str(case.output)]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert result.stderr.startswith("ssl_import_labels: error:") and result.stderr.count("\n") == 1


def test_script_of_stage_5(case, root, tmp_path) -> None:
    recipe = tmp_path / "my recipe"
    recipe.mkdir()
    for name, target in {"utils": "utils", "scripts": "egs2/TEMPLATE/ssl1/scripts"}.items():
        (recipe / name).symlink_to(root / target)
    command = ["scripts/tokens/import_labels.sh", "--python", sys.executable, "--token_list", str(case.token_list)]
    environment = os.environ | {"PYTHONPATH": str(root)}

    def run(*options: str) -> subprocess.CompletedProcess:
        arguments = [*command, *options, str(case.dump_set), str(case.output)]
        return subprocess.run(arguments, cwd=recipe, env=environment, capture_output=True, text=True, timeout=120)

    missing = run("--text", "absent")
    assert missing.returncode == 1 and "absent is missing" in missing.stderr
    result = run()
    assert result.returncode == 0, result.stderr
    case.check_packed()
