"""An entry of wav.scp in, its length in seconds out: that of the audio which stage 3 finds there, mostly undecoded."""

import tempfile
from contextlib import closing

from espnet2.data.audio import av_audio
from espnet2.data.audio.decode import open_recording
from espnet2.data.audio.pipes import PipePlan, parse_pipe
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.utils.errors import UserError


def runs_a_command(entry: str) -> bool:
    """Whether the length of an entry is only known after a command of others has run.

    >>> runs_a_command("sox a.wav -t wav - speed 0.9 |"), runs_a_command("zcat a.wav.gz |")
    (False, True)
    """
    return entry.rstrip().endswith("|") and parse_pipe(entry.strip()) is None


def entry_seconds(entry: str, *, decode: bool = False) -> float:
    """The length of a file, a place in an ark or a pipe.

    Args:
        decode: count the samples that come out instead.

    Raises:
        RejectedAudio: it is missing, empty or no audio, or its command fails.
        UserError: it needs a package that is not installed.
    """
    entry = entry.strip()
    plan = parse_pipe(entry) if entry.endswith("|") else PipePlan(entry)
    if plan is not None and not decode and av_audio.needs_pyav(plan.path) and av_audio.is_readable(plan.path):
        seconds = av_audio.duration_seconds(plan.path)
        if seconds is not None:
            return seconds / plan.speed
    with tempfile.TemporaryDirectory(prefix="length.") as scratch, open_recording(entry, scratch) as recording:
        if not decode:
            return recording.seconds
        with closing(recording.blocks(0, recording.frames, None)) as blocks:
            return sum(map(len, blocks)) / recording.sample_rate


__all__ = ["RejectedAudio", "UserError", "entry_seconds", "runs_a_command"]
