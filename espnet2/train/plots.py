"""The history of a training in, PNG curves of train and valid figures out."""

import json
import re
from pathlib import Path

ALWAYS_DRAWN = ("loss", "grad_norm", "learning_rate", "audio_per_second")
DRAWN = re.compile(r"accuracy|^probe_")


def draw_curves(history: Path, directory: Path) -> list[Path]:
    """Draw one picture per figure: the loss and its terms, accuracies, gradient norm, learning rate, throughput.

    Args:
        history: history.jsonl, one JSON object per log interval or validation.

    Returns:
        The pictures written.
    """
    if not history.exists():
        return []
    rows = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines()]
    drawn = sorted(
        {name for row in rows for name in row if name in ALWAYS_DRAWN or "loss_" in name or DRAWN.search(name)}
    )
    directory.mkdir(parents=True, exist_ok=True)
    return [_draw(rows, name, directory / f"{name}.png") for name in drawn]


def _draw(rows: list[dict], name: str, path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=100)  # inches; without pyplot there is no global state and no display
    axes = figure.add_subplot()
    for dataset, marker in (("train", ""), ("valid", "o")):
        points = [(row["update"], row[name]) for row in rows if row["dataset"] == dataset and name in row]
        if points:
            axes.plot(*zip(*points, strict=True), label=dataset, marker=marker, markersize=3)
    axes.set_xlabel("update")
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    temporary = path.with_suffix(".partial.png")
    FigureCanvasAgg(figure).print_png(str(temporary))
    temporary.replace(path)
    return path
