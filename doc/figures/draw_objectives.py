"""The steps of every objective, written below, in; one picture of each, doc/figures/<objective>.svg, out.

python doc/figures/draw_objectives.py
"""

import re
from pathlib import Path
from typing import NamedTuple

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

# What a box is -> its colour. Dark text on all of them, also in print.
COLOURS = {"data": "#eeeeee", "trained": "#cfe3f7", "average": "#ffe2b8", "fixed": "#dcdcef", "loss": "#f7cfcf"}
MEANING = {
    "trained": "trained",
    "average": "moving average of the trained",
    "fixed": "fixed or made beforehand",
    "loss": "loss",
}
WIDTH, HEIGHT, GAP, LANE = 1.5, 0.82, 0.42, 1.55  # inches


class Box(NamedTuple):
    """One step."""

    kind: str  # of COLOURS
    text: str


class Drawing(NamedTuple):
    """One objective: the path of the model below, the path of its target above."""

    below: tuple[Box, ...]  # ends with the loss
    above: tuple[Box, ...]  # ends at the loss
    leaves: int  # the target's path leaves the model's after this box


def data(text: str) -> Box:
    return Box("data", text)


def trained(text: str) -> Box:
    return Box("trained", text)


def average(text: str) -> Box:
    return Box("average", text)


def fixed(text: str) -> Box:
    return Box("fixed", text)


def loss(text: str) -> Box:
    return Box("loss", text)


DRAWINGS = {
    "hubert": Drawing(
        (
            data("waveform"),
            trained("convolutions"),
            data("spans replaced\nby a mask vector"),
            trained("encoder"),
            trained("projection, cosine\nto K embeddings"),
            loss("cross-entropy at\nhidden frames"),
        ),
        (fixed("MFCC, or a layer\nof the model before"), fixed("k-means:\none of K per frame")),
        0,
    ),
    "online_hubert": Drawing(
        (
            data("waveform"),
            trained("convolutions"),
            data("spans replaced\nby a mask vector"),
            trained("encoder"),
            trained("projection, cosine\nto K m embeddings"),
            loss("cross-entropy at\nhidden frames"),
        ),
        (
            average("encoder, all frames:\none layer"),
            average("nearest of m codes\nper label; at first\nthe label itself"),
        ),
        1,
    ),
    "wavlm": Drawing(
        (
            data("clip + noise or\na second voice"),
            trained("convolutions"),
            data("spans replaced\nby a mask vector"),
            trained("encoder, gated\nrelative positions"),
            trained("projection, cosine\nto K embeddings"),
            loss("cross-entropy at\nhidden frames"),
        ),
        (data("the clip alone"), fixed("k-means:\none of K per frame")),
        0,
    ),
    "wav2vec2": Drawing(
        (
            data("waveform"),
            trained("convolutions"),
            data("spans replaced\nby a mask vector"),
            trained("encoder"),
            trained("projection"),
            loss("tell the true code\nfrom 100 others\n+ diversity"),
        ),
        (trained("Gumbel product\nquantizer"), trained("projection of\nthe code")),
        1,
    ),
    "w2v_bert": Drawing(
        (
            data("log-mel, 40 ms"),
            data("spans replaced\nby noise"),
            trained("conformer,\nlower blocks"),
            loss("contrastive\n+ diversity"),
            trained("conformer,\nupper blocks"),
            loss("cross-entropy of\nthe code's number"),
        ),
        (trained("projection"), trained("Gumbel product\nquantizer")),
        0,
    ),
    "best_rq": Drawing(
        (
            data("log-mel"),
            data("spans replaced\nby noise"),
            trained("subsampling,\nencoder"),
            trained("linear"),
            loss("cross-entropy at\nhidden frames"),
        ),
        (fixed("random\nprojection"), fixed("nearest entry of a\nrandom codebook")),
        0,
    ),
    "data2vec2": Drawing(
        (
            data("waveform"),
            trained("convolutions"),
            data("visible frames\nonly, M masks"),
            trained("encoder"),
            data("noise at the\nhidden places"),
            trained("convolutional\ndecoder"),
            loss("squared error at\nhidden frames"),
        ),
        (average("encoder, all\nframes"), fixed("mean of the upper\nlayers, normalised")),
        1,
    ),
    "dinosr": Drawing(
        (
            data("waveform"),
            trained("convolutions"),
            data("spans replaced\nby a mask vector"),
            trained("encoder"),
            trained("one linear per\ncodebook"),
            loss("cross-entropy at\nhidden frames"),
        ),
        (
            average("encoder, all frames:\nupper layers,\nnormalised"),
            average("nearest entry of one\ncodebook per layer"),
        ),
        1,
    ),
    "distilhubert": Drawing(
        (
            data("waveform"),
            trained("convolutions"),
            trained("encoder:\ntwo layers"),
            trained("one head for each\nlayer of the teacher"),
            loss("L1 and cosine\nat all frames"),
        ),
        (fixed("trained teacher:\nall its layers"), fixed("its layers\n4, 8 and 12")),
        0,
    ),
    "speechflow": Drawing(
        (
            data("log-mel $x_1$"),
            data("$x_t$ between noise\n$x_0$ and $x_1$, beside\nmasked $x_1$"),
            trained("encoder with skip\nconnections and\na time token"),
            trained("linear:\na velocity"),
            loss("squared error"),
        ),
        (fixed("noise $x_0$,\nand $x_1$"), fixed("true velocity\n$x_1 - (1 - \\sigma)\\, x_0$")),
        0,
    ),
}


def draw(drawing: Drawing, path: Path) -> None:
    """Write one picture."""
    columns = len(drawing.below)
    width, height = columns * (WIDTH + GAP) + 0.2, LANE + HEIGHT + 0.75
    figure = pyplot.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    centres = [0.2 + WIDTH / 2 + number * (WIDTH + GAP) for number in range(columns)]
    low, high = 0.45 + HEIGHT / 2, 0.45 + HEIGHT / 2 + LANE
    for number, box in enumerate(drawing.below):
        draw_box(axes, centres[number], low, box)
        if number:
            arrow(axes, (centres[number - 1] + WIDTH / 2, low), (centres[number] - WIDTH / 2, low))
    start, end = drawing.leaves, columns - 1
    step = (centres[end] - centres[start]) / (len(drawing.above) + 1)
    targets = [centres[start] + step * (number + 1) for number in range(len(drawing.above))]
    arrow(axes, (centres[start], low + HEIGHT / 2), (targets[0] - WIDTH / 2, high), bend=-0.35)
    for number, box in enumerate(drawing.above):
        draw_box(axes, targets[number], high, box)
        if number:
            arrow(axes, (targets[number - 1] + WIDTH / 2, high), (targets[number] - WIDTH / 2, high))
    last = targets[-1]
    for number, box in enumerate(drawing.below):
        if number == end:
            arrow(axes, (last + WIDTH / 2, high), (centres[end], low + HEIGHT / 2), bend=-0.35)
        elif box.kind == "loss":
            arrow(axes, (last, high - HEIGHT / 2), (centres[number], low + HEIGHT / 2))
    legend(axes, {box.kind for box in (*drawing.below, *drawing.above)})
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def draw_box(axes: Axes, x: float, y: float, box: Box) -> None:
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(
        FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=style, facecolor=COLOURS[box.kind], edgecolor="#555555")
    )
    axes.text(x, y, box.text, ha="center", va="center", fontsize=9, color="#111111")


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
    style = {"arrowstyle": "-|>", "color": "#555555", "connectionstyle": f"arc3,rad={bend}", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def legend(axes: Axes, kinds: set[str]) -> None:
    x = 0.2
    for kind, meaning in MEANING.items():
        if kind in kinds:
            square = {"boxstyle": "square,pad=0", "facecolor": COLOURS[kind], "edgecolor": "#555555"}
            axes.add_patch(FancyBboxPatch((x, 0.1), 0.18, 0.14, **square))
            axes.text(x + 0.25, 0.165, meaning, va="center", fontsize=8, color="#333333")
            x += 0.5 + 0.085 * len(meaning)


def main() -> None:
    """Draw all of them."""
    matplotlib.rcParams.update({"svg.hashsalt": "objectives", "svg.fonttype": "path", "savefig.facecolor": "white"})
    for name, drawing in DRAWINGS.items():
        path = Path(__file__).with_name(f"{name}.svg")
        draw(drawing, path)
        path.write_text(re.sub(r" +$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    main()
