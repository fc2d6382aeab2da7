"""The guard of stage 3: utterances that are no audio to train on are rejected, with the reason."""

from espnet2.data.audio.decode import Recording
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format.plan import FormatOptions
from espnet2.data.format.write import FULL_SCALE, Clipping, SampleSums

MAX_PEAK = 8.0  # 18 dB over full scale: no loud recording but another scale, however much of it is silence
SCALES = (FULL_SCALE, 1 << 23, 1 << 31)  # of 16, 24 and 32 bits: what floats that were not scaled range to


def check_usable(recording: Recording, sums: SampleSums, clipping: Clipping, options: FormatOptions) -> None:
    """Raises RejectedAudio for utterances without a sample, with zeros only, or far beyond full scale."""
    if sums.count == 0:
        raise RejectedAudio("empty", "0 samples")
    if sums.squares == 0:
        raise RejectedAudio("silent", f"all {sums.count} samples are zero{_other_channels(recording, options)}")
    check_clipping(sums, clipping, options)


def check_clipping(sums: SampleSums, clipping: Clipping, options: FormatOptions) -> None:
    """Raises RejectedAudio for utterances far beyond full scale: clipped, they would be noise."""
    ratio = clipping.count / sums.count
    if ratio > options.max_clipped_ratio or clipping.peak > MAX_PEAK:
        scale = next((scale for scale in SCALES if clipping.peak * options.float_full_scale <= scale), SCALES[-1])
        raise RejectedAudio(
            "clipped",
            f"{ratio:.1%} of the samples are beyond full scale, up to {clipping.peak:.6g} times; floats in the range "
            f"of integers need --float_full_scale {scale}; "
            f"--max_clipped_ratio 1 clips loud audio up to {MAX_PEAK:g} times",
        )


def _other_channels(recording: Recording, options: FormatOptions) -> str:
    """Where to look for the sound of a recording whose channel is silent."""
    count = recording.audio.channels
    if count == 1 or recording.plan.mix:
        return ""
    picked = recording.plan.channel if recording.plan.channel is not None else options.channel or 0
    others = sorted(recording.sounding - {picked})
    if not others:
        return f" in channel {picked} (from 0), as in the others of {count}"
    return f" in channel {picked} (from 0) of {count}; --channel {others[0]} takes one that is not silent"
