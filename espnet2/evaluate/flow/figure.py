"""An utterance whose hidden span a model filled in, a picture of it out: original, masked and filled mel."""

import io

import numpy as np
import torch

from espnet2.evaluate.flow.sampling import Filled
from espnet2.ssl.modules.mel import LogMel

ROW_INCHES = 1.45
SHOWN_DECIBEL = 80.0  # below the loudest value: what a listener may hear
SHOWN_HERTZ = (300, 1000, 2000, 4000)
CONTEXT_SPANS = 4  # shown on both sides of the span, in its lengths, or the least below
CONTEXT_SECONDS = 1.2


def draw_filled(filled: Filled, mel: LogMel, title: str, *, num_seeds: int = 3) -> bytes:
    """A PNG with one row each for the original, the masked mel and the first seeds.

    Args:
        mel: what computed the frames: rate and place of the bins.
        title: of the whole picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rate, (first, stop) = mel.geometry.frame_rate, filled.span
    masked = filled.mel.clone()
    masked[first:stop] = float("nan")
    rows = [("original", filled.mel), ("masked", masked)]
    rows += [(f"filled, seed {number}", sample) for number, sample in enumerate(filled.samples[:num_seeds])]
    reach = max(round(CONTEXT_SECONDS * rate), CONTEXT_SPANS * (stop - first))
    begin, end = max(0, first - reach), min(len(filled.mel), stop + reach)
    loudest = filled.decibel * float(filled.mel[begin:end].max())
    figure = Figure(figsize=(10, 0.9 + ROW_INCHES * len(rows)), dpi=110, layout="constrained")  # inches
    panels = figure.subplots(len(rows), 1, sharex=True, sharey=True)
    for axes, (name, values) in zip(panels, rows, strict=True):
        axes.set_facecolor("0.85")  # where nothing is shown
        image = axes.imshow(
            filled.decibel * values[begin:end].T.numpy(),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=loudest - SHOWN_DECIBEL,
            vmax=loudest,
            extent=(begin / rate, end / rate, -0.5, filled.mel.size(1) - 0.5),
        )
        axes.set_ylabel("Hz")
        axes.set_title(name, loc="left", fontsize=10)
        for edge in (first, stop):
            axes.axvline(edge / rate, color="tab:cyan", linewidth=1.2)
    places, labels = _hertz_ticks(mel)
    panels[0].set_yticks(places, labels)
    panels[-1].set_xlabel("seconds")
    figure.colorbar(image, ax=list(panels), label="dB", aspect=50, pad=0.01)
    figure.suptitle(title, fontsize=11)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _hertz_ticks(mel: LogMel) -> tuple[list[float], list[str]]:
    """Places on the axis of mel bins, and their frequencies."""
    bins = torch.arange(mel.filters.size(0), device=mel.filters.device)[:, None]
    weight = mel.filters / mel.filters.sum(0).clamp(min=1e-10)
    centres = (bins * weight).sum(0).cpu().numpy() * mel.settings.sample_rate / mel.settings.fft_samples
    shown = [hertz for hertz in SHOWN_HERTZ if hertz < centres[-1]]
    return list(np.interp(shown, centres, np.arange(len(centres)))), [f"{hertz:,}" for hertz in shown]
