"""Any wav.scp entry (file, ark, pipe) in, blocks of mono samples out, or the reason why it is no usable audio.

Stage 3 uses this, and what has to agree with it; training reads what stage 3 wrote (read.py).
"""

import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import soundfile

from espnet2.data.audio import av_audio
from espnet2.data.audio.command import run_command
from espnet2.data.audio.entry import ByteRange, ParquetRow, is_in_store, parse_entry
from espnet2.data.audio.pipes import PipePlan, missing_programs, parse_pipe, split_pipe
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.audio.source import AudioSource, MixedAudio, open_source
from espnet2.utils.errors import UserError

StrPath = str | os.PathLike[str]
BLOCK_FRAMES = 1 << 18  # read at once: most utterances are one block, and hours of audio need no more memory
SEGMENT_TOLERANCE_SECONDS = 0.5  # a segment may end so much after its recording: rounding in published corpora
MIN_RATE_HZ, MAX_RATE_HZ = 1000, 1_000_000  # beyond them a header is damaged, not a recording slow or fast
PCM_16 = "PCM_16"
KEEP = "--keep_truncated true takes what is there"
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE")  # the only ones that can hold NaN or infinity


@dataclass(frozen=True)
class ReadRules:
    """What is done with audio that is not what its header says."""

    truncation_tolerance: float = 0.1  # seconds that may be missing: 10 to 20 ms are common in published corpora
    keep_truncated: bool = False  # take what is there
    float_full_scale: float = 1.0  # what stands for full scale in files of floats


DEFAULT_RULES = ReadRules()


@dataclass
class Recording:
    """An open entry of wav.scp."""

    entry: str
    audio: AudioSource
    plan: PipePlan  # the file behind it, and what a recognised pipe does to it
    rules: ReadRules = DEFAULT_RULES
    missing_seconds: float = 0.0  # that a container which is decoded elsewhere promised
    sounding: set[int] = field(default_factory=set)  # channels, from 0, in which something was heard

    @property
    def sample_rate(self) -> float:
        """Hz that the samples of the file stand for; not whole after a change of speed."""
        return self.audio.sample_rate * self.plan.speed

    @property
    def frames(self) -> int:
        """How many there are, whatever a header says."""
        return self.audio.frames

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.sample_rate

    @property
    def surplus_seconds(self) -> float:
        """How much more there is than the header says."""
        return self.audio.surplus_frames / self.sample_rate

    @property
    def shortfall_seconds(self) -> float:
        """How much less there is than the header says."""
        return self.missing_seconds + self.audio.missing_frames / self.sample_rate

    def is_plain_flac(self, sample_rate: int) -> bool:
        """A FLAC file that is already what stage 3 writes."""
        audio = self.audio
        properties = (audio.format, audio.subtype, audio.channels, audio.sample_rate)
        return properties == ("FLAC", PCM_16, 1, sample_rate) and self.plan == PipePlan(self.entry) and audio.is_plain

    def whole(self) -> tuple[int, int]:
        """The first frame, and the one after the last.

        Raises:
            RejectedAudio: more is missing than the rules allow.
        """
        if not self.rules.keep_truncated and self.is_truncated:
            raise self._truncated()
        return 0, self.frames

    def span(self, start_seconds: float, end_seconds: float) -> tuple[int, int]:
        """The frames of a segment; an end below 0 is the end of the recording.

        Raises:
            RejectedAudio: the recording ends before the segment does.
        """
        frames, rate = self.frames, self.sample_rate
        start = round(start_seconds * rate)
        stop = self.whole()[1] if end_seconds < 0 else round(end_seconds * rate)
        truncated = self.is_truncated
        late = self.rules.truncation_tolerance if truncated else SEGMENT_TOLERANCE_SECONDS
        if start >= frames or (stop > frames + late * rate and not (truncated and self.rules.keep_truncated)):
            if truncated and not self.rules.keep_truncated:
                raise self._truncated()
            raise RejectedAudio(
                "too_short", f"the segment is {start_seconds}..{end_seconds} s, the audio ends at {frames / rate:.3f} s"
            )
        return start, min(stop, frames)

    def blocks(self, start: int, stop: int, channel: int | None) -> Generator[np.ndarray, None, None]:
        """Frames `start`..`stop` of one channel: (frames,) int16 where the file holds that, otherwise float32.

        Raises:
            RejectedAudio: it cannot be decoded to the end, holds NaN or infinity, or lacks the channel.
        """
        picked = self.plan.channel if self.plan.channel is not None else channel
        if picked is not None and picked >= self.audio.channels and not self.plan.mix:
            raise RejectedAudio("no_channel", f"channel {picked} (from 0) of {self.audio.channels}")
        exact = self.audio.subtype == PCM_16 and not self.plan.mix and self.plan.gain == 1
        position = start
        self.sounding.clear()
        while position < stop:
            try:
                block = self.audio.read(position, min(BLOCK_FRAMES, stop - position), "int16" if exact else "float32")
                why = ""
            except soundfile.LibsndfileError as error:
                block, why = np.zeros((0, 1), np.float32), f" ({error.error_string})"
            if len(block) == 0:
                self._check_end(position, stop, why)
                return
            if self.audio.subtype in FLOAT_SUBTYPES:
                block = self._scaled(block, position)
            if self.audio.channels > 1 and (picked or 0) not in self.sounding:
                self.sounding.update(np.flatnonzero(block.any(axis=0)).tolist())
            position += len(block)
            yield self._to_mono(block, picked or 0)

    def _scaled(self, block: np.ndarray, position: int) -> np.ndarray:
        if not np.isfinite(block).all():
            raise RejectedAudio("not_finite", f"NaN or infinity after {position / self.sample_rate:.3f} s")
        scale = self.rules.float_full_scale
        return block if scale == 1 else block / np.float32(scale)

    @property
    def is_truncated(self) -> bool:
        """More is missing than the rules allow, unless they say to keep what is there."""
        return bool(self.audio.cut) or self.shortfall_seconds > self.rules.truncation_tolerance

    def _truncated(self) -> RejectedAudio:
        here, missing = self.frames / self.sample_rate, self.shortfall_seconds
        what = f"{here + missing:.3f} s by its header, {here:.3f} s are there" if missing else self.audio.cut
        return RejectedAudio("truncated", f"{_shown(self.entry, self.plan.path)}: {what}; {KEEP}")

    def _check_end(self, position: int, stop: int, why: str) -> None:
        """The decoder gave nothing more before `stop`."""
        rate = self.sample_rate
        if (stop - position) / rate <= self.rules.truncation_tolerance or (self.rules.keep_truncated and position):
            return
        raise RejectedAudio(
            "truncated", f"cannot be decoded beyond {position / rate:.3f} of {self.frames / rate:.3f} s{why}; {KEEP}"
        )

    def _to_mono(self, block: np.ndarray, channel: int) -> np.ndarray:
        mono = block.mean(axis=1, dtype=np.float32) if self.plan.mix else block[:, channel]
        return mono if self.plan.gain == 1 else mono * np.float32(self.plan.gain)


@contextmanager
def open_recording(entry: str, scratch: StrPath, rules: ReadRules = DEFAULT_RULES) -> Iterator[Recording]:
    """Open an entry of wav.scp; the output of a pipe is kept in a file of the folder `scratch` meanwhile.

    What a pipe of known programs does (sox, flac, sph2pipe, ffmpeg, wav-copy) is done here: the same on every machine,
    and for files that those programs do not know. Where that fails the pipe runs.

    Raises:
        RejectedAudio: it is missing, empty, cut short or no audio, or its command fails.
    """
    with ExitStack() as stack:
        yield _enter(stack, entry.strip(), scratch, rules)


def _enter(stack: ExitStack, entry: str, scratch: StrPath, rules: ReadRules) -> Recording:
    if not entry.endswith("|"):
        return stack.enter_context(_open_plan(entry, PipePlan(entry), scratch, rules))
    plan = parse_pipe(entry)
    if plan is not None and (missing_programs(entry) or av_audio.is_readable(plan.path)):
        try:
            return stack.enter_context(_open_plan(entry, plan, scratch, rules))
        except RejectedAudio as error:
            if error.reason != "not_audio" or missing_programs(entry):
                raise
    command, rest = (entry.removesuffix("|"), PipePlan("-")) if plan is not None else split_pipe(entry)
    output = stack.enter_context(tempfile.NamedTemporaryFile(dir=scratch, prefix=".pipe."))  # noqa: SIM115 - the stack's
    run_command(command, output.file)
    return stack.enter_context(_open_plan(entry, rest.on(output.name), scratch, rules))


@contextmanager
def _open_plan(entry: str, plan: PipePlan, scratch: StrPath, rules: ReadRules) -> Iterator[Recording]:
    parsed = parse_entry(plan.path)
    path = parsed.file
    if parsed.num_samples is not None:
        raise UserError(f"{entry}: a part by its samples; in data/<set> a part of a recording is a line of `segments`")
    if not is_in_store(path):
        _check_content(entry, path)
    elif av_audio.needs_pyav(path):
        raise RejectedAudio("not_audio", f"{entry}: PyAV reads this format, and only files of this machine; fetch it")
    with ExitStack() as stack:
        missing_seconds, readable = 0.0, plan.path
        if parsed.part is None and av_audio.needs_pyav(path):
            output = stack.enter_context(tempfile.NamedTemporaryFile(dir=scratch, prefix=".decoded."))
            try:
                missing_seconds = av_audio.decode(path, output.name, keep_damaged=rules.keep_truncated)
            except av_audio.DamagedAudio as error:
                raise RejectedAudio("truncated", f"{path}: {error}; {KEEP}") from None
            except av_audio.UndecodableAudio as error:
                raise RejectedAudio("not_audio", f"{path}: {error}") from None
            readable, rules = output.name, replace(rules, float_full_scale=1.0)  # the floats are the decoder's
        try:
            audio = stack.enter_context(open_source(readable))
        except (ValueError, OSError, soundfile.LibsndfileError, MixedAudio) as error:
            raise _not_audio(entry, path, error) from None
        if not MIN_RATE_HZ <= audio.sample_rate <= MAX_RATE_HZ:
            raise RejectedAudio(
                "bad_rate",
                f"{_shown(entry, path)}: {audio.sample_rate} Hz by its header; "
                f"expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz",
            )
        recording = Recording(entry, audio, plan, rules, missing_seconds)
        if audio.frames == 0:
            why = f" ({audio.cut})" if audio.cut else ""
            raise RejectedAudio("truncated" if audio.cut else "empty", f"{_shown(entry, path)}: 0 samples{why}")
        yield recording


def _shown(entry: str, path: str) -> str:
    """What a message names: the file, or the pipe whose output lies in a file that is gone by then."""
    return path if path in entry else entry


def _check_content(entry: str, path: str) -> None:
    try:
        if os.path.isdir(path):
            raise RejectedAudio("not_audio", f"{path}: a folder")
        if os.path.getsize(path) == 0:
            raise RejectedAudio("empty", f"{_shown(entry, path)}: 0 bytes")
    except OSError as error:
        raise RejectedAudio("missing", f"{path}: {error.strerror}") from None


def _not_audio(entry: str, path: str, error: Exception) -> RejectedAudio:
    shown = _shown(entry, path)
    reason = "truncated" if "too early" in str(error) else "not_audio"
    if is_in_store(path) or isinstance(parse_entry(entry).part, ByteRange | ParquetRow):
        reason = "missing" if isinstance(error, FileNotFoundError) else reason
        return RejectedAudio(reason, f"{entry}: {getattr(error, 'error_string', error)}")
    try:
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except OSError as system_error:  # libsndfile does not say that permission is missing
        return RejectedAudio("missing", f"{path}: {system_error.strerror}")
    if head.startswith(b"NIST_1A") and b"shorten" in head:
        return RejectedAudio("not_audio", f"{shown}: SPHERE compressed by shorten; needs the program sph2pipe")
    return RejectedAudio(reason, f"{shown}: {getattr(error, 'error_string', error)}")
