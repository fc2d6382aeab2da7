"""The history of a training in, PNG curves of train and valid figures out."""

import re
from pathlib import Path

from espnet2.train.history import OLD_DOMAIN, HistoryLine, read_history

ALWAYS_DRAWN = ("loss", "grad_norm", "learning_rate", "audio_per_second")
DRAWN = re.compile(r"accuracy|^probe_")


def draw_curves(experiment: Path, directory: Path) -> list[Path]:
    """Draw one picture per figure: the loss and its terms, accuracies, gradient norm, learning rate, throughput.

    Args:
        experiment: exp/<name>, with its history.jsonl.

    Returns:
        The pictures written.
    """
    lines = read_history(experiment)
    if not lines:
        return []
    names = {name for line in lines for name in line.figures}
    names = {name for name in names if not name.startswith(OLD_DOMAIN)}  # drawn beside those of the valid set
    drawn = sorted(name for name in names if name in ALWAYS_DRAWN or "loss_" in name or DRAWN.search(name))
    directory.mkdir(parents=True, exist_ok=True)
    return [_draw(lines, name, directory / f"{name}.png") for name in drawn]


def _draw(lines: list[HistoryLine], name: str, path: Path) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=100)  # inches; without pyplot there is no global state and no display
    axes = figure.add_subplot()
    curves = (("train", "train", name, ""), ("valid", "valid", name, "o"))
    for label, dataset, figure_name, marker in (*curves, ("old domain", "valid", f"{OLD_DOMAIN}{name}", "s")):
        points = [
            (line.update, line.figures[figure_name])
            for line in lines
            if line.dataset == dataset and figure_name in line.figures
        ]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, marker=marker, markersize=3)
    axes.set_xlabel("update")
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    temporary = path.with_suffix(".partial.png")
    FigureCanvasAgg(figure).print_png(str(temporary))
    temporary.replace(path)
    return path
