"""One example of the evaluation in, its spectrogram with units and phones below it and its audio out."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from markupsafe import Markup

from espnet2.evaluate.report.page import remark
from espnet2.evaluate.report.raster import data_uri, spectrogram_png

PIXELS_PER_SECOND = (170, 320)  # long ones scroll, short ones fill a screen
USUAL_WIDTH = 1080  # pixels
PICTURE_HEIGHT, ROW_HEIGHT, ROW_GAP = 150, 22, 16  # pixels
GOLDEN_ANGLE = 137.508  # degrees between the colours of neighbouring unit ids
CHARACTER_PIXELS = 5.9  # of the small text in a box


class TrackJson(TypedDict):
    """The units of one system."""

    title: str
    frame_rate: float  # per second
    first_seconds: float  # where the first unit begins
    ids: list[int]


class UtteranceJson(TypedDict):
    """One example, as eval/examples.json has it."""

    utt_id: str
    speaker: str
    transcript: str
    audio: str  # a file below eval/
    seconds: float
    phones: list[tuple[float, float, str]]  # start s, end s, symbol
    tracks: list[TrackJson]


class Span(NamedTuple):
    """A stretch of time with a name."""

    start: float  # seconds
    end: float
    name: str


def rows_of(utterance: UtteranceJson) -> list[tuple[str, list[Span], bool]]:
    """(title, spans, whether they are units) of each row below the spectrogram: the tracks, then the phones."""
    seconds = utterance["seconds"]
    rows = [
        (track["title"], runs_of(track["ids"], track["frame_rate"], track["first_seconds"], seconds), True)
        for track in utterance["tracks"]
    ]
    if utterance["phones"]:
        rows.append(("phones", [Span(*phone) for phone in utterance["phones"]], False))
    return rows


def runs_of(ids: Sequence[int], frame_rate: float, first_seconds: float, end: float) -> list[Span]:
    """Equal units in a row, each with where it begins and ends.

    >>> runs_of([7, 7, 3], 50, 0.0, 1.0)
    [Span(start=0.0, end=0.04, name='7'), Span(start=0.04, end=0.06, name='3')]
    """
    spans, begin = [], 0
    for position in range(1, len(ids) + 1):
        if position == len(ids) or ids[position] != ids[begin]:
            start, stop = (first_seconds + frame / frame_rate for frame in (begin, position))
            spans.append(Span(round(start, 4), round(min(stop, end), 4), str(ids[begin])))
            begin = position
    return [span for span in spans if span.end > span.start]


def utterance_figure(utterance: UtteranceJson, folder: Path) -> Markup:
    """The figure of one utterance, or a sentence where its audio is gone.

    Args:
        folder: exp/<name>/eval.
    """
    audio = folder / utterance["audio"]
    try:
        picture, sound = spectrogram_png(audio), data_uri(audio.read_bytes(), "audio/flac")
    except (OSError, RuntimeError):
        name = utterance["utt_id"]
        return remark(f"{name}: {audio} is gone, so there is nothing to hear or see. Evaluate again.")
    seconds = utterance["seconds"]
    rows = rows_of(utterance)
    scale = min(max(USUAL_WIDTH / seconds, PIXELS_PER_SECOND[0]), PIXELS_PER_SECOND[1])
    width = round(seconds * scale)
    height = PICTURE_HEIGHT + len(rows) * (ROW_HEIGHT + ROW_GAP) + 22
    drawn = [_row(row, PICTURE_HEIGHT + number * (ROW_HEIGHT + ROW_GAP), scale) for number, row in enumerate(rows)]
    return Markup(
        '<figure class="wide utterance"><figcaption><b>{utt}</b>{who}{text}</figcaption>'
        '<div class="scroll" tabindex="0"><svg class="speech" width="{w}" height="{h}" viewBox="0 0 {w} {h}" '
        'role="img" aria-label="{label}" data-seconds="{s}">'
        '<image href="{src}" width="{w}" height="{ph}" preserveAspectRatio="none"/>'
        '{rows}{axis}<path class="playhead" d="M0 0V{h}"/></svg></div>'
        '<audio controls preload="metadata" src="{sound}"></audio></figure>'
    ).format(
        utt=utterance["utt_id"],
        who=f", speaker {utterance['speaker']}" if utterance["speaker"] else "",
        text=Markup(" <q>{}</q>").format(utterance["transcript"]) if utterance["transcript"] else "",
        w=width,
        h=height,
        s=seconds,
        ph=PICTURE_HEIGHT,
        label=f"Spectrogram of {utterance['utt_id']}, {seconds:g} s; below it {', '.join(row[0] for row in rows)}",
        src=picture,
        sound=sound,
        rows=Markup("").join(drawn),
        axis=_time_axis(seconds, height, scale),
    )


def _row(row: tuple[str, list[Span], bool], top: int, scale: float) -> Markup:
    """A title and one box for each span; boxes of units have a colour for each unit."""
    title, spans, coloured = row
    boxes = [_box(span, top + ROW_GAP, scale, coloured) for span in spans]
    return Markup('<text class="rowname" x="2" y="{}">{}</text>{}').format(top + 12, title, Markup("").join(boxes))


def _box(span: Span, top: int, scale: float, coloured: bool) -> Markup:
    left, width = round(span.start * scale, 1), round((span.end - span.start) * scale, 1)
    fits = width >= CHARACTER_PIXELS * len(span.name) + 1
    fill = (
        Markup(' style="fill:hsl({} 60% 80%)"').format(round(int(span.name) * GOLDEN_ANGLE % 360)) if coloured else ""
    )
    text = (
        Markup('<text x="{}" y="{}">{}</text>').format(round(left + width / 2, 1), top + 15, span.name) if fits else ""
    )
    return Markup(
        '<g class="{}"><rect x="{}" y="{}" width="{}" height="{}"{}/>{}<title>{}: {:.2f} to {:.2f} s</title></g>'
    ).format("unit" if coloured else "phone", left, top, width, ROW_HEIGHT, fill, text, span.name, span.start, span.end)


def _time_axis(seconds: float, height: int, scale: float) -> Markup:
    """A number at every half second."""
    ticks = [number / 2 for number in range(1, int(seconds * 2) + 1)]
    return Markup("").join(
        Markup('<text class="tick x" x="{}" y="{}">{:g} s</text>').format(round(tick * scale, 1), height - 5, tick)
        for tick in ticks
        if (seconds - tick) * scale > 12
    )
