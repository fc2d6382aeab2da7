"""Any wav.scp entry (file, ark, pipe) in, blocks of mono samples out, or the reason why it is no usable audio.

Only stage 3 uses this; training reads what stage 3 wrote (audio.py).
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import soundfile

from espnet2.data.audio import av_audio
from espnet2.data.audio.pipes import PipePlan, missing_programs, parse_pipe
from espnet2.data.audio.read import ARK_ENTRY, open_audio

BLOCK_FRAMES = 1 << 18  # read at once: most utterances are one block, and hours of audio need no more memory
SEGMENT_TOLERANCE_SECONDS = 0.5  # a segment may end so much after its recording: rounding in published corpora
UNKNOWN_FRAMES = 1 << 62  # libsndfile's count for FLAC written into a pipe
STREAMED_BYTES = 0x7FFF0000  # data sizes above are the place-holders of programs that wrote into a pipe
# How libsndfile's log of a WAV, AIFF or AU file shows that the file ends before its header says.
SHORT_DATA = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
SPHERE_COUNT = re.compile(rb"sample_count -i (\d+)")
PCM_16 = "PCM_16"
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")  # the only ones that can hold NaN or infinity


class RejectedAudio(Exception):
    """Audio that goes to rejected.tsv: one word why, and the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, " ".join(detail.split())  # no tabs or newlines: it is a table cell


@dataclass
class Recording:
    """An open entry of wav.scp."""

    entry: str
    audio: soundfile.SoundFile
    plan: PipePlan  # the file behind it, and what a recognised pipe does to it

    @property
    def sample_rate(self) -> float:
        """Hz that the samples of the file stand for; not whole after a change of speed."""
        return self.audio.samplerate * self.plan.speed

    def is_plain_flac(self, sample_rate: int) -> bool:
        """A FLAC file that is already what stage 3 writes."""
        audio = self.audio
        properties = (audio.format, audio.subtype, audio.channels, audio.samplerate)
        return properties == ("FLAC", PCM_16, 1, sample_rate) and self.plan == PipePlan(self.entry)

    def span(self, start_seconds: float, end_seconds: float) -> tuple[int, int]:
        """The frames of a segment; an end below 0 is the end of the recording.

        Raises:
            RejectedAudio: the recording ends before the segment does.
        """
        frames, rate = self.audio.frames, self.sample_rate
        start = round(start_seconds * rate)
        stop = frames if end_seconds < 0 else round(end_seconds * rate)
        if start >= frames or stop > frames + SEGMENT_TOLERANCE_SECONDS * rate:
            raise RejectedAudio(
                "too_short", f"the segment is {start_seconds}..{end_seconds} s, the audio ends at {frames / rate:.3f} s"
            )
        return start, min(stop, frames)

    def blocks(self, start: int, stop: int, channel: int | None) -> Iterator[np.ndarray]:
        """Frames `start`..`stop` of one channel: (frames,) int16 where the file holds that, otherwise float32.

        Raises:
            RejectedAudio: it cannot be decoded to the end, holds NaN or infinity, or lacks the channel.
        """
        picked = self.plan.channel if self.plan.channel is not None else channel
        if picked is not None and picked >= self.audio.channels and not self.plan.mix:
            raise RejectedAudio("no_channel", f"channel {picked} (from 0) of {self.audio.channels}")
        exact = self.audio.subtype == PCM_16 and not self.plan.mix and self.plan.gain == 1
        position = start
        while position < stop:
            block = self._read(position, min(BLOCK_FRAMES, stop - position), "int16" if exact else "float32")
            if len(block) == 0:
                if self._may_end_at(position, stop):
                    return
                raise self._cut_short(position, "")
            if self.audio.subtype in FLOAT_SUBTYPES and not np.isfinite(block).all():
                raise RejectedAudio("not_finite", f"NaN or infinity after {position / self.sample_rate:.3f} s")
            position += len(block)
            yield self._to_mono(block, picked or 0)

    def _read(self, position: int, count: int, dtype: str) -> np.ndarray:
        try:
            if self.audio.tell() != position:
                self.audio.seek(position)
            return self.audio.read(count, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._cut_short(position, f" ({error.error_string})") from None

    def _may_end_at(self, position: int, stop: int) -> bool:
        """Lengths of MP3 are estimates."""
        return self.audio.format == "MP3" and stop - position <= SEGMENT_TOLERANCE_SECONDS * self.audio.samplerate

    def _cut_short(self, position: int, why: str) -> RejectedAudio:
        seconds, total = position / self.sample_rate, self.audio.frames / self.sample_rate
        return RejectedAudio("truncated", f"cannot be decoded beyond {seconds:.3f} of {total:.3f} s{why}")

    def _to_mono(self, block: np.ndarray, channel: int) -> np.ndarray:
        mono = block.mean(axis=1, dtype=np.float32) if self.plan.mix else block[:, channel]
        return mono if self.plan.gain == 1 else mono * np.float32(self.plan.gain)


@contextmanager
def open_recording(entry: str, scratch: str | os.PathLike) -> Iterator[Recording]:
    """Open an entry of wav.scp; the output of a pipe is kept in a file of the folder `scratch` meanwhile.

    Raises:
        RejectedAudio: it is missing, empty, cut short or no audio, or its command fails.
    """
    if not entry.endswith("|"):
        if av_audio.needs_pyav(entry):
            with _open_decoded(entry, scratch) as recording:
                yield recording
            return
        with _open_plan(entry, PipePlan(entry)) as recording:
            yield recording
        return
    plan = parse_pipe(entry) if missing_programs(entry) else None
    if plan is not None:
        with _open_plan(entry, plan) as recording:
            yield recording
        return
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".pipe.") as output:
        _run_pipe(entry, output.file)
        with _open_plan(entry, PipePlan(output.name), streamed=True) as recording:
            yield recording


def _run_pipe(entry: str, output: object) -> None:
    command = entry.strip().removesuffix("|")
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        errors = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise RejectedAudio("command_failed", f"exit code {done.returncode} of '{command.strip()}': {errors[-1]}")


@contextmanager
def _open_decoded(entry: str, scratch: str | os.PathLike) -> Iterator[Recording]:
    _check_content(entry)
    with tempfile.NamedTemporaryFile(dir=scratch, prefix=".decoded.") as output:
        try:
            av_audio.decode(entry, output.name)
        except av_audio.UndecodableAudio as error:
            raise RejectedAudio("not_audio", f"{entry}: {error}") from None
        with _open_plan(entry, PipePlan(output.name), streamed=True) as recording:
            yield recording


@contextmanager
def _open_plan(entry: str, plan: PipePlan, *, streamed: bool = False) -> Iterator[Recording]:
    match = ARK_ENTRY.fullmatch(plan.path)
    path = match[1] if match else plan.path
    _check_content(path)
    with ExitStack() as stack:
        try:
            audio = stack.enter_context(open_audio(plan.path))
        except (ValueError, OSError, soundfile.LibsndfileError) as error:
            raise _not_audio(path, error) from None
        if not streamed:
            _check_complete(path, audio, is_ark=match is not None)
        if audio.frames >= UNKNOWN_FRAMES:
            raise RejectedAudio(
                "not_audio", f"{path}: FLAC without a length (made in a pipe); write it again with flac"
            )
        if audio.frames == 0:
            raise RejectedAudio("empty", f"{path}: 0 samples")
        yield Recording(entry, audio, plan)


def _check_content(path: str) -> None:
    try:
        if os.path.isdir(path):
            raise RejectedAudio("not_audio", f"{path}: a folder")
        if os.path.getsize(path) == 0:
            raise RejectedAudio("empty", f"{path}: 0 bytes")
    except OSError as error:
        raise RejectedAudio("missing", f"{path}: {error.strerror}") from None


def _not_audio(path: str, error: Exception) -> RejectedAudio:
    try:
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except OSError as system_error:  # libsndfile does not say that permission is missing
        return RejectedAudio("missing", f"{path}: {system_error.strerror}")
    if head.startswith(b"NIST_1A") and b"shorten" in head:
        return RejectedAudio("not_audio", f"{path}: SPHERE compressed by shorten; needs the program sph2pipe")
    reason = "truncated" if "too early" in str(error) else "not_audio"
    return RejectedAudio(reason, f"{path}: {getattr(error, 'error_string', error)}")


def _check_complete(path: str, audio: soundfile.SoundFile, *, is_ark: bool) -> None:
    """libsndfile takes a file that ends early for a shorter one; its header knows better."""
    for declared, found in SHORT_DATA.findall(audio.extra_info):
        if int(found) < int(declared) < STREAMED_BYTES:
            raise RejectedAudio("truncated", f"{path}: {found} of {declared} bytes of samples")
    if audio.format == "NIST" and not is_ark:
        with open(path, "rb") as stream:
            match = SPHERE_COUNT.search(stream.read(1024))
        if match and audio.frames < int(match[1]):
            raise RejectedAudio("truncated", f"{path}: {audio.frames} of {int(match[1])} samples")
