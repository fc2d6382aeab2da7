"""Histories, units and a calibration in; the part of RESULTS.md between its marks, and a picture, out."""

import json

import pytest
from tiny_units import run_program

from espnet2.evaluate.report.marked_page import marks, put_between_marks
from espnet2.evaluate.report.objectives import MARKS, results_table
from espnet2.utils.errors import UserError


def rows_of(title: str, system: str, pnmi: float, spread: float, layers=(1, 2), rate: float = 50) -> list[dict]:
    """Each layer is worse than the one before by 0.1."""
    rows = []
    for number, layer in enumerate(layers):
        spreads = {"phone_purity": 0.01, "cluster_purity": 0.01, "pnmi": spread}
        valid = {"phone_purity": 0.5, "cluster_purity": 0.3, "pnmi": pnmi - number / 10, "spread": spreads}
        valid["used_clusters"] = 7.0
        common = {"system": system, "title": title, "own_rate": rate, "layer": layer, "best": number == 0}
        rows.append(common | {"valid": valid, "train": valid})
    return rows


@pytest.fixture
def finished(tmp_path):
    """Two trainings and what was measured of them."""
    rows = [
        *rows_of("MFCC", "mfcc", 0.50, 0.010, layers=(None,), rate=100),
        *rows_of("hubert", "model", 0.55, 0.010),
        *rows_of("new_one", "model", 0.56, 0.005),
        *rows_of("new_one_codes", "codes", 0.40, 0.0, layers=(2,)),
    ]
    described = {"set": "dump/dev", "num_frames": 1234, "num_utterances": 9}
    units = {"num_clusters": 100, "frame_rate": 50, "seeds": [0, 1, 2], "rows": rows, "train": described}
    (tmp_path / "units.json").write_text(json.dumps(units | {"valid": described}))
    entry = {"minutes": 2.5, "others_share": 0.02, "clock": "wall"}
    noisy = entry | {"others_share": 0.5}
    (tmp_path / "calibration.json").write_text(json.dumps({"hubert": entry, "new_one": noisy}))
    for name in ("hubert", "new_one"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train.done").write_text(json.dumps({"updates": 300, "wall_seconds": 151.2, "valid": {"loss": 2.5}}))
        history = [
            {"dataset": "train", "update": 100, "loss": 3.0, "masked_accuracy": 0.2, "audio_per_update": 9.5},
            {"dataset": "valid", "update": 100, "loss": 2.9},
            {"dataset": "train", "update": 200, "loss": 2.5, "masked_accuracy": 0.4, "audio_per_update": 9.5},
        ]
        (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in history) + '{"cut": 1')
    return tmp_path


def run(folder, *words):
    experiments = [f"{name}={folder / name}" for name in ("hubert", "new_one")]
    files = ["--units", folder / "units.json", "--calibration", folder / "calibration.json"]
    output = ["--results", folder / "RESULTS.md", "--picture", folder / "images/curves.png"]
    return run_program("ssl_compare_objectives", "--experiments", *experiments, *files, *output, *words)


def test_the_table_says_what_is_better_than_the_spread(finished, capsys):
    run(finished)
    text = (finished / "RESULTS.md").read_text()
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    assert "| - | -0.050 |" not in lines["MFCC"] and "| - | **-0.050** | - | - | - | - |" in lines["MFCC"]
    assert "**+0.050** | - | 300 | 2,850 | 2.500 | 2:31 |" in lines["hubert"]
    assert "**+0.060** | +0.010 | 300 |" in lines["new one"]  # 0.010 is less than both spreads together
    assert lines["new one codes (7 in use)"].startswith("| new one codes (7 in use) | 2 | 0.500 ± 0.010")
    assert "not quiet during the trials of new_one." in text and "for 2.5 minutes of wall time" in text
    assert "MFCC: 100 frames per second, one frame of 2 is kept." in text
    assert "| 1 | 0.550 | 0.560 | - |" in text and "| 2 | 0.450 | 0.460 | 0.400 |" in text
    assert "![loss and health of each training](images/curves.png)" in text
    assert (finished / "images/curves.png").read_bytes()[:4] == b"\x89PNG"


def test_what_a_person_wrote_stays(finished):
    begin, end = marks(MARKS)
    page = finished / "RESULTS.md"
    page.write_text(f"# Mine\n\n{begin}\nold\n{end}\n\n## Readings\n\nGood.\n")
    run(finished)
    text = page.read_text()
    assert text.startswith(f"# Mine\n\n{begin}\nEvery objective") and text.endswith(f"{end}\n\n## Readings\n\nGood.\n")
    assert "\nold\n" not in text
    page.write_text("# Mine\n")
    with pytest.raises(UserError, match="put the lines"):
        put_between_marks(page, "table\n", title="T", name=MARKS)
    assert page.read_text() == "# Mine\n"


@pytest.mark.parametrize(
    ("name", "lost", "message"),
    [
        ("units.json", '"set"', r"units\.json: lacks 'train\.set': run ssl_evaluate_units first"),
        ("units.json", '"rows"', r"units\.json: lacks 'rows': run ssl_evaluate_units first"),
        (
            "calibration.json",
            '"clock"',
            r"calibration\.json: lacks 'hubert\.clock': delete that entry and run",
        ),
        ("hubert/train.done", '"updates"', r"train\.done: lacks 'updates': the training has not ended"),
    ],
)
def test_a_file_that_lacks_something_is_named(finished, name, lost, message):
    whole = (finished / name).read_text()
    (finished / name).write_text(whole.replace(lost, '"other"', 1))
    with pytest.raises(UserError, match=message):
        run(finished)
    (finished / name).write_text(whole[:20])
    with pytest.raises(UserError, match=r":1: damaged or cut short"):
        run(finished)


def test_an_unfinished_training_is_named(finished):
    (finished / "hubert/train.done").unlink()
    with pytest.raises(UserError, match=r"hubert/train\.done is missing: the training has not ended"):
        run(finished)
    assert not (finished / "RESULTS.md").exists()
    units = json.loads((finished / "units.json").read_text())
    assert "- | - | - | - |" in results_table(units, {}, {}, "hubert")
