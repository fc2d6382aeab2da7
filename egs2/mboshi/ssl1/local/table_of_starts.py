"""The runs of start_from_runs.sh in, Markdown tables of continued and distilled models out."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from table_of_runs import Line, lines_of, read_parts
from torch.utils.flop_counter import FlopCounterMode

from espnet2.evaluate.report.marked_page import put_between_marks
from espnet2.evaluate.spread import with_spread
from espnet2.models.find import find_model
from espnet2.models.load import load_model
from espnet2.utils.errors import run_main
from espnet2.utils.show import table_row

MARKS = "start_from"  # name of the part of RESULTS.md that is rewritten
CONTINUED = ("scratch", "continue", "continue_decay", "continue_replay", "continue_lora")
DISTILLED = ("teacher", "student_mfcc", "student_dicehubert", "student_distilhubert")
BASELINES = ("MFCC", "untrained")
SECONDS = 10  # of audio, whose cost is counted
Figures = Mapping[str, float]


def folders_of(root: Path, row: str) -> list[Path]:
    """The finished runs of a row, one for each seed."""
    return sorted(path.parent for path in root.glob(f"{row}_seed*/finished"))


def valid_figures(folder: Path) -> Figures:
    """Of the last validation."""
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["dataset"] == "valid"][-1]


def mean(values: Iterable[float]) -> str:
    """With the distance of largest and smallest, where there are several; a dash where there is none."""
    known = list(values)
    if not known:
        return "-"
    spread = max(known) - min(known) if len(known) > 1 else None
    return with_spread(sum(known) / len(known), spread)


def size_and_cost(folder: Path) -> list[str]:
    """Values of frontend and encoder, and GFLOP of their forward pass for a second of audio."""
    model = load_model(find_model(folder)).model.eval()
    size = sum(value.numel() for part in (model.frontend, model.encoder) for value in part.parameters())
    samples = SECONDS * model.frontend.geometry.sample_rate
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.first.encode_whole(torch.zeros(1, samples), torch.tensor([samples]), ())
    return [f"{size / 1e6:.2f} M", f"{counter.get_total_flops() / 1e9 / SECONDS:.3f}"]


def evaluated(root: Path, name: str) -> dict[str, Line]:
    """Row -> its figures on the unseen speaker; nothing where that was not evaluated."""
    folder = root / f"eval_{name}" / "eval"
    return lines_of(read_parts(folder)) if folder.is_dir() else {}


def tested(lines: Mapping[str, Line], row: str) -> list[str]:
    """PNMI of the chosen layer and the phone probe."""
    line = lines.get(row, Line())
    return [line.text("pnmi", as_percent=False), line.text("probe_phone", as_percent=True)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Of Markdown; figures stand on the right."""
    lines = [table_row(head), f"|---|{'--:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *map(table_row, rows)])


def continued(root: Path) -> str:
    """New and old domain after as many updates."""
    lines = evaluated(root, "continue")
    rows = [[name, "-", "-", "-", "-", *tested(lines, name)] for name in BASELINES if name in lines]
    for row in CONTINUED:
        figures = [valid_figures(folder) for folder in folders_of(root, row)]
        if figures:
            keys = ("loss", "old_loss", "old_probe_pnmi")
            cells = [mean(float(values[key]) for values in figures) for key in keys]
            rows.append([row.replace("_", " "), str(len(figures)), *cells, *tested(lines, row)])
    head = ("run", "seeds", "valid loss", "old loss", "old probe PNMI", "test PNMI", "test phone probe")
    return table(head, rows)


def distilled(root: Path) -> str:
    """A teacher and its students."""
    lines = evaluated(root, "distil")
    rows = []
    for row in DISTILLED:
        folders = folders_of(root, row)
        if folders:
            rows.append([row.replace("_", " "), str(len(folders)), *size_and_cost(folders[0]), *tested(lines, row)])
    head = ("run", "seeds", "frontend and encoder", "GFLOP per second of audio", "test PNMI", "test phone probe")
    return table(head, rows)


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables, and put them into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="exp/start_from")
    parser.add_argument("--results", type=Path, help="the part of this page between its marks is rewritten")
    arguments = parser.parse_args(words)
    parts = [make(arguments.folder) for make in (continued, distilled)]
    text = "\n\n".join(["Means over the seeds of training, ± largest less smallest.", *parts]) + "\n"
    print(text, end="")
    if arguments.results:
        put_between_marks(arguments.results, text, title="Starting from a model", name=MARKS)


if __name__ == "__main__":
    run_main(main)
