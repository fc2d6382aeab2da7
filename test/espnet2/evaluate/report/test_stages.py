"""stages.tsv in; times of stages, and the tables that show them, out."""

import json

from evaluated import STAGES, units_part, write_training
from tiny_units import run_program

from espnet2.evaluate.report.stages import read_stages


def test_a_stage_ends_where_the_next_line_begins(tmp_path):
    path = tmp_path / "stages.tsv"
    path.write_text(STAGES.format(name="mine") + "300\tssl1.sh\t8\tlast -> one\n400\tcut")
    assert [(stage.number, stage.seconds) for stage in read_stages(path)] == [
        ("5", 10), ("6", 5), ("7", 85), ("7", 75), ("8", None),
    ]  # fmt: skip


def test_the_summary_of_a_recipe_shows_them(tmp_path, capsys):
    exp = write_training(tmp_path / "exp" / "mine")
    (tmp_path / "units.json").write_text(json.dumps(units_part()))
    done = {"updates": 1000, "wall_seconds": 61.4, "valid": {"loss": 2.0, "masked_accuracy": 0.3}}
    (exp / "train.done").write_text(json.dumps(done))
    stages = tmp_path / "exp" / "stages.tsv"
    run_program(
        "ssl_summarize",
        "--experiments",
        f"mine={exp}",
        "--units",
        tmp_path / "units.json",
        "--stages",
        f"ssl1={stages}",
    )
    shown = capsys.readouterr().out
    assert "| ssl1 | 7: conf/train.yaml -> exp/mine | 1:15 |" in shown and "| ssl1 | all | 2:55 |" in shown
