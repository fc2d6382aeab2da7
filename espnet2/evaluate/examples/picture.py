"""One example of the evaluation in, a PNG file of its spectrogram with units and phones below it out, for trackers."""

from pathlib import Path

from espnet2.evaluate.report.raster import spectrogram
from espnet2.evaluate.report.utterance import GOLDEN_ANGLE, UtteranceJson, rows_of

INCHES_PER_SECOND, SPECTROGRAM_INCHES, ROW_INCHES = 1.8, 2.0, 0.35
LIGHTNESS, SATURATION = 0.8, 0.6  # of the colours of units, as on the page


def draw_example(utterance: UtteranceJson, folder: Path, path: Path) -> None:
    """
    Args:
        folder: exp/<name>/eval, where the audio lies.
        path: the PNG file.

    Raises:
        OSError, RuntimeError: the audio is gone or is no audio.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    seconds = utterance["seconds"]
    rows = rows_of(utterance)
    heights = [SPECTROGRAM_INCHES, *[ROW_INCHES] * len(rows)]
    figure = Figure(figsize=(2 + INCHES_PER_SECOND * seconds, sum(heights) + 1), dpi=80, layout="constrained")
    axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    axes[0].imshow(spectrogram(folder / utterance["audio"]), extent=(0, seconds, 0, 1), aspect="auto")
    axes[0].set_title(utterance["utt_id"])
    for row_axes, (title, spans, are_units) in zip(axes[1:], rows, strict=True):
        widths = [(span.start, span.end - span.start) for span in spans]
        colours = [_unit_colour(span.name) if are_units else (0.93, 0.93, 0.93) for span in spans]
        row_axes.broken_barh(widths, (0, 1), facecolors=colours, edgecolors="white", linewidths=0.5)
        for span in spans:
            row_axes.text(
                (span.start + span.end) / 2, 0.5, span.name, ha="center", va="center", fontsize=6, clip_on=True
            )
        row_axes.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=7)
    for row_axes in axes:
        row_axes.set_yticks([])
        row_axes.set_xlim(0, seconds)
    axes[-1].set_xlabel("seconds")
    FigureCanvasAgg(figure).print_png(str(path))


def _unit_colour(unit: str) -> tuple[float, float, float]:
    """Red, green and blue; equal for equal units."""
    import colorsys

    return colorsys.hls_to_rgb(int(unit) * GOLDEN_ANGLE % 360 / 360, LIGHTNESS, SATURATION)
