"""Histories of HuBERT's mini config at two learning rates in; doc/figures/learning_rates.svg out.

python doc/figures/draw_learning_rates.py                                   draws learning_rates.jsonl
python doc/figures/draw_learning_rates.py <corpus>:<lr>=exp/<name> ...      makes that file first, of history.jsonl
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

FOLDER = Path(__file__).resolve().parent
CURVES, PICTURE = FOLDER / "learning_rates.jsonl", FOLDER / "learning_rates.svg"
COLOURS = {"1.5e-3": "#c44e52", "5e-4": "#4c72b0"}


def gather(words: list[str]) -> None:
    """Write the train accuracies of the experiments named."""
    lines = []
    for word in words:
        title, _, experiment = word.partition("=")
        corpus, _, rate = title.rpartition(":")
        for line in map(json.loads, (Path(experiment) / "history.jsonl").read_text(encoding="utf-8").splitlines()):
            if line["dataset"] == "train":
                point = {"update": line["update"], "masked_accuracy": round(line["masked_accuracy"], 5)}
                lines.append({"corpus": corpus, "lr": rate, **point})
    CURVES.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def draw() -> None:
    """One panel for each corpus."""
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for line in map(json.loads, CURVES.read_text(encoding="utf-8").splitlines()):
        points = curves.setdefault(line["corpus"], {}).setdefault(line["lr"], [])
        points.append((line["update"], 100 * line["masked_accuracy"]))
    figure, panels = pyplot.subplots(1, len(curves), figsize=(3.4 * len(curves), 2.8), sharey=True, squeeze=False)
    for axes, (corpus, rates) in zip(panels[0], curves.items(), strict=True):
        for rate, points in rates.items():
            axes.plot(*zip(*points, strict=True), color=COLOURS.get(rate), label=f"lr {rate}")
        axes.set_title(corpus, fontsize=10)
        axes.set_xlabel("update")
        axes.grid(alpha=0.3)
    panels[0][0].set_ylabel("masked accuracy, %")
    panels[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    if sys.argv[1:]:
        gather(sys.argv[1:])
    draw()
