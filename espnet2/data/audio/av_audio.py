"""An audio file that libsndfile does not know (m4a, AAC, WMA, G.722, ...) in, its samples in a file it knows out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from espnet2.utils.extras import needs

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

# Read with PyAV, by the end of the name; everything else is libsndfile's.
SUFFIXES = (".m4a", ".mp4", ".m4b", ".aac", ".wma", ".amr", ".webm", ".mka", ".ac3", ".g722")
RAW_FORMATS = {".g722": "g722"}  # without a header: FFmpeg has to be told
STATING = ("mov", "matroska", "asf")  # containers whose header states a length; of the others FFmpeg estimates it
FLOATS = ("flt", "fltp", "dbl", "dblp")  # formats of frames that may go beyond full scale


FULL_FRAMES = ("aac", "mp3", "ac3")  # codecs whose last frame is decoded whole, whatever the container says of it


class UndecodableAudio(Exception):
    """Not audio; the message says why."""


class DamagedAudio(UndecodableAudio):
    """Audio up to a place where it is damaged, or ends in the middle of something."""


def needs_pyav(path: str) -> bool:
    """Whether a file is read with PyAV, as its name says.

    >>> needs_pyav("Talk.M4A"), needs_pyav("talk.mp3")
    (True, False)
    """
    return path.lower().endswith(SUFFIXES)


def is_readable(path: str) -> bool:
    """Whether a file does without PyAV, or PyAV is there."""
    if not needs_pyav(path):
        return True
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def decode(path: str, output: str, *, keep_damaged: bool = False) -> float:
    """Decode the first audio stream to a W64 file (as WAV, but without a limit of 4 GB), rate and channels kept.

    Args:
        keep_damaged: what comes before the damage is enough.

    Returns:
        Seconds that the container states and that are not in it.

    Raises:
        UndecodableAudio, DamagedAudio: it is not audio, or cannot be decoded to its end.
        UserError: PyAV is not installed.
    """
    with _opened(path) as (av, container, stream):
        counter = _PacketSeconds(container.demux(stream), stream.codec_context.name)
        try:
            _write(av, (frame for packet in counter for frame in packet.decode()), output)
        except av.FFmpegError as error:
            if Path(output).stat().st_size == 0:
                raise
            if not keep_damaged:
                raise DamagedAudio(f"cannot be decoded beyond {counter.held_seconds:.3f} s ({error})") from None
        return max(0.0, _stated_seconds(av, container, stream) - counter.end_seconds)


def duration_seconds(path: str) -> float | None:
    """The length of what is in the container, without decoding; None where it is no audio: `decode` will tell why.

    Raises:
        UserError: PyAV is not installed.
    """
    if Path(path).suffix.lower() in RAW_FORMATS:
        return None
    try:
        with _opened(path) as (_, container, stream):
            counter = _PacketSeconds(container.demux(stream), stream.codec_context.name)
            for _ in counter:
                pass
            return counter.held_seconds or None
    except UndecodableAudio:
        return None


@contextmanager
def _opened(path: str) -> Iterator[tuple[ModuleType, "InputContainer", "AudioStream"]]:
    av = _pyav(path)
    try:
        with av.open(path, format=RAW_FORMATS.get(Path(path).suffix.lower())) as container:
            if not container.streams.audio:
                raise UndecodableAudio("no audio stream")
            yield av, container, container.streams.audio[0]
    except (av.FFmpegError, ValueError) as error:
        raise UndecodableAudio(str(error)) from None


class _PacketSeconds:
    """Packets as they come, and how much they hold: what lies before 0 is the encoder's delay, which is not played."""

    def __init__(self, packets: "Iterator[Packet[AudioStream]]", codec: str) -> None:
        self.packets, self.is_last_whole = packets, codec in FULL_FRAMES
        self.held_seconds = self.end_seconds = 0.0

    def __iter__(self) -> "Iterator[Packet[AudioStream]]":
        longest = last_duration = 0
        for packet in self.packets:
            if packet.duration and packet.time_base:
                start = 0 if packet.pts is None else min(0, packet.pts)
                self.held_seconds += float(max(0, packet.duration + start) * packet.time_base)
                self.end_seconds += float(packet.duration * packet.time_base)
                longest, last_duration = max(longest, packet.duration), packet.duration
                time_base = packet.time_base
            yield packet
        if self.is_last_whole and last_duration:
            self.held_seconds += float((longest - last_duration) * time_base)


def _stated_seconds(av: ModuleType, container: "InputContainer", stream: "AudioStream") -> float:
    """What the container says of its length; 0 where it says nothing."""
    if not container.format.name.startswith(STATING):
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return 0.0 if container.duration is None else container.duration / av.time_base


def _write(av: ModuleType, frames: "Iterator[AudioFrame]", output: str) -> None:
    """Write frame by frame; the rate is the first frame's, which the container may not know (HE-AAC)."""
    resampler, audio = None, None
    try:
        for frame in frames:
            if audio is None or resampler is None:
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                is_float = frame.format.name in FLOATS
                resampler = av.AudioResampler(format="flt" if is_float else "s16", layout=frame.layout, rate=rate)
                subtype = "FLOAT" if is_float else "PCM_16"
                audio = soundfile.SoundFile(output, "w", rate, channels, subtype, format="W64")
            for converted in resampler.resample(frame):
                audio.write(np.ascontiguousarray(converted.to_ndarray().reshape(-1, channels)))
    finally:
        if audio is not None:
            audio.close()
    if audio is None:
        raise UndecodableAudio("no sample could be decoded")


def _pyav(path: str) -> ModuleType:
    with needs(f"{path}: reading this format needs PyAV; install it: pip install av"):
        import av
    return av
