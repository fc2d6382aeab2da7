"""An audio file that libsndfile does not know (m4a, AAC, WMA, G.722, ...) in, 16-bit samples in a file it knows out."""

from pathlib import Path

import soundfile

from espnet2.utils.errors import UserError

# Read with PyAV, by the end of the name; everything else is libsndfile's.
SUFFIXES = (".m4a", ".mp4", ".m4b", ".aac", ".wma", ".amr", ".webm", ".mka", ".ac3", ".g722")
RAW_FORMATS = {".g722": "g722"}  # without a header: FFmpeg has to be told


class UndecodableAudio(Exception):
    """Not audio, or damaged; the message says why."""


def needs_pyav(path: str) -> bool:
    """Whether a file is read with PyAV, as its name says.

    >>> needs_pyav("Talk.M4A"), needs_pyav("talk.mp3")
    (True, False)
    """
    return path.lower().endswith(SUFFIXES)


def decode(path: str, output: str) -> None:
    """Decode the first audio stream to a 16-bit W64 file (as WAV, but without a limit of 4 GB), rate and channels kept.

    Raises:
        UndecodableAudio: it is not audio, or damaged.
        UserError: PyAV is not installed.
    """
    av = _pyav(path)
    try:
        with av.open(path, format=RAW_FORMATS.get(Path(path).suffix.lower())) as container:
            if not container.streams.audio:
                raise UndecodableAudio("no audio stream")
            _write(av, container, output)
    except (av.FFmpegError, ValueError) as error:
        raise UndecodableAudio(str(error)) from None


def _write(av, container, output: str) -> None:
    """Decode frame by frame; the rate is the first frame's, which the container may not know (HE-AAC)."""
    resampler, audio = None, None
    try:
        for frame in container.decode(audio=0):
            if audio is None:
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                resampler = av.AudioResampler(format="s16", layout=frame.layout, rate=rate)  # interleaved 16 bit
                audio = soundfile.SoundFile(output, "w", rate, channels, "PCM_16", format="W64")
            for converted in resampler.resample(frame):
                audio.write(converted.to_ndarray().reshape(-1, channels))
    finally:
        if audio is not None:
            audio.close()
    if audio is None:
        raise UndecodableAudio("no sample could be decoded")


def duration_seconds(path: str) -> float | None:
    """What the container says of its length; None where it says nothing, or is no audio: `decode` will tell why.

    Raises:
        UserError: PyAV is not installed.
    """
    av = _pyav(path)
    try:
        with av.open(path, format=RAW_FORMATS.get(Path(path).suffix.lower())) as container:
            if not container.streams.audio or Path(path).suffix.lower() in RAW_FORMATS:
                return None
            stream = container.streams.audio[0]
            if stream.duration is not None and stream.time_base is not None:
                return float(stream.duration * stream.time_base)
            return None if container.duration is None else container.duration / av.time_base
    except (av.FFmpegError, ValueError):
        return None


def _pyav(path: str):
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: reading this format needs PyAV; install it: pip install av") from None
    return av
