"""An utterance of data/<set> in, its line in dump/org/<set> out, its audio read where it lies (stage 3, as_is).

Nothing is written and little is decoded: rate, channels, codec and length come from the header, or from `reco2header`,
in which stage 1 noted what it had seen. Some utterances are decoded all the same, or all (`--check_audio full`).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from espnet2.data.audio.decode import FLOAT_SUBTYPES, SEGMENT_TOLERANCE_SECONDS, Recording
from espnet2.data.audio.entry import samples_of
from espnet2.data.audio.pipes import PipePlan
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format.plan import AS_IS, HEADER_TABLE, FormatOptions, Utterance
from espnet2.data.format.usable import check_usable
from espnet2.data.format.write import Clipping, SampleSums
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import iterate_table

SAMPLED = 50  # one utterance of so many is decoded
UNKNOWN = "-"  # in reco2header: format and subtype, where a manifest does not say
WRITE = "--audio_format flac writes audio of one form instead"


class Header(NamedTuple):
    """What is known of a recording before anything is decoded."""

    num_samples: int
    sample_rate: int  # Hz
    channels: int
    format: str  # libsndfile's name
    subtype: str


def is_checked(item: Utterance, options: FormatOptions) -> bool:
    """Whether an utterance is decoded; the same for any number of jobs."""
    return options.check_audio == "full" or item.number % SAMPLED == 0


def read_headers(data_dir: Path, recording_ids: set[str]) -> dict[str, Header]:
    """The lines of reco2header; those of other recordings are passed over.

    Raises:
        UserError: a line is malformed.
    """
    path = data_dir / HEADER_TABLE
    headers: dict[str, Header] = {}
    if not path.exists():
        return headers
    for number, (recording_id, value) in enumerate(iterate_table(path), 1):
        if recording_id not in recording_ids:
            continue
        try:
            num_samples, rate, channels, name, subtype = value.split()
            headers[recording_id] = Header(int(num_samples), int(rate), int(channels), name, subtype)
        except ValueError:
            raise UserError(
                f"{path}:{number}: expected '<recording> <samples> <Hz> <channels> <format> <subtype>', got '{value}'"
            ) from None
    return headers


def header_of(recording: Recording) -> Header:
    """Of an open recording.

    Raises:
        RejectedAudio: it is cut short.
        UserError: a command, or a file that is not one recording as it stands.
    """
    audio = recording.audio
    recording.whole()
    if recording.plan != PipePlan(recording.entry):
        raise UserError(f"{AS_IS}: '{recording.entry}' is a command, which training would not run; {WRITE}")
    if not audio.is_whole:
        raise UserError(
            f"{AS_IS}: {recording.entry}: its header and its contents differ, or it holds several recordings; {WRITE}"
        )
    return Header(audio.frames, audio.sample_rate, audio.channels, audio.format, audio.subtype)


def check_header(item: Utterance, entry: str, header: Header, options: FormatOptions) -> None:
    """Raises UserError where an utterance is of another form than training reads."""
    wrong = ""
    if header.sample_rate != options.sample_rate:
        wrong = f"{header.sample_rate} Hz, expected {options.sample_rate} (--fs)"
    elif header.channels != 1:
        wrong = f"{header.channels} channels, expected one"
    elif header.subtype in FLOAT_SUBTYPES:
        wrong = f"samples are {header.subtype}, which may be anything"
    if wrong:
        raise UserError(f"{AS_IS}: utterance {item.utt_id}: {entry}: {wrong}; {WRITE}")


def span_of(item: Utterance, header: Header, recording: Recording | None) -> tuple[int, int]:
    """First sample, and the one after the last.

    Raises:
        RejectedAudio: the recording ends before the segment does.
    """
    if item.start_seconds is None:
        return 0, header.num_samples
    if recording is not None:
        return recording.span(item.start_seconds, item.end_seconds)
    start = round(item.start_seconds * header.sample_rate)
    stop = header.num_samples if item.end_seconds < 0 else round(item.end_seconds * header.sample_rate)
    if start >= header.num_samples or stop > header.num_samples + SEGMENT_TOLERANCE_SECONDS * header.sample_rate:
        raise RejectedAudio(
            "too_short",
            f"the segment is {item.start_seconds}..{item.end_seconds} s, "
            f"the audio ends at {header.num_samples / header.sample_rate:.3f} s",
        )
    return start, min(stop, header.num_samples)


def entry_of(item: Utterance, entry: str, span: tuple[int, int]) -> str:
    """The entry for wav.scp of the dump."""
    return entry if item.start_seconds is None else samples_of(entry, span[0], span[1] - span[0])


def checked_sums(
    recording: Recording, blocks: Iterable[np.ndarray], clipping: Clipping, num_samples: int, options: FormatOptions
) -> SampleSums:
    """Decode: the sums over the samples.

    Raises:
        RejectedAudio: it is damaged, silent, or shorter than it should be.
    """
    sums = SampleSums()
    for block in blocks:
        sums.add(block)
    check_usable(recording, sums, clipping, options)
    if sums.count != num_samples:
        raise RejectedAudio("truncated", f"{recording.entry}: {sums.count} samples, {num_samples} by its header")
    return sums


def check_against_table(item: Utterance, table: Header | None, header: Header) -> None:
    """Raises UserError where stage 1 noted something else."""
    known = table is None or all(a in (b, UNKNOWN) for a, b in zip(table, header, strict=True))
    if table is not None and not known:
        raise UserError(
            f"{AS_IS}: utterance {item.utt_id}: {HEADER_TABLE} says {' '.join(map(str, table))}, the audio "
            f"{' '.join(map(str, header))}; it changed since stage 1: run stage 1 again"
        )


def header_lines(headers: Iterable[tuple[str, Header]]) -> Iterator[tuple[str, str]]:
    """Rows of reco2header."""
    return ((recording, " ".join(map(str, header))) for recording, header in headers)
