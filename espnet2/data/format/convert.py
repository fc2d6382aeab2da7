"""One job's share of data/<set> in; formatted audio, its tables and its rejections out (stage 3)."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from espnet2.data.audio.decode import Recording, open_recording
from espnet2.data.audio.entry import parse_entry
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format import as_is
from espnet2.data.format.plan import (
    AS_IS,
    CLIPPED_TABLE,
    WORK_FOLDER,
    FormatOptions,
    Utterance,
    job_range,
    utterances,
)
from espnet2.data.format.usable import check_usable
from espnet2.data.format.write import FULL_SCALE, ArkWriter, Clipping, FileWriter, SampleSums, open_writer
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, write_json
from espnet2.utils.kaldi_table import iterate_table
from espnet2.utils.progress import UtteranceProgress


class Formatted(NamedTuple):
    """One utterance of the output."""

    entry: str  # for wav.scp
    num_samples: int
    sums: SampleSums | None  # None: not decoded
    clipping: Clipping


class Shard(NamedTuple):
    """Where job `job` of `num_jobs` leaves its results until they are collected."""

    output_dir: Path
    job: int
    num_jobs: int

    @property
    def folder(self) -> Path:
        return self.output_dir / WORK_FOLDER / f"{self.num_jobs}jobs" / str(self.job)


def format_shard(data_dir: Path, shard: Shard) -> bool:
    """Format one job's share of the utterances, as the plan in the output folder says.

    Returns:
        False when an earlier run had already finished this share.

    Raises:
        UserError: there is no plan, or a table is malformed. Unusable audio is no error: it goes to rejected.tsv.
    """
    plan_path = shard.output_dir / WORK_FOLDER / "work.json"
    try:
        plan = json.loads(plan_path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{plan_path}: no such file; run scripts/audio/format_wav_scp.sh, which plans the jobs"
        ) from None
    options = FormatOptions(**{field.name: plan[field.name] for field in fields(FormatOptions) if field.name in plan})
    done = shard.folder / "done.json"
    if done.exists():  # the plan's folder is emptied when the input changes
        return False
    start, stop = job_range(plan["num_utterances"], options.unit, shard.job, shard.num_jobs)
    items = list(utterances(data_dir, start, stop))
    recording_ids = {item.recording_id for item in items}
    entries = _recording_entries(data_dir, recording_ids)
    headers = as_is.read_headers(data_dir, recording_ids) if options.audio_format == AS_IS else {}
    formatter = _Formatter(entries, headers, options, shard)
    formatter.run(items)
    write_json(done, {"hash": plan["hash"], **formatter.summary()})
    return True


def _recording_entries(data_dir: Path, recording_ids: set[str]) -> dict[str, str]:
    return {key: entry for key, entry in iterate_table(data_dir / "wav.scp") if key in recording_ids}


class _Formatter:
    """Decodes, converts and writes utterances one by one; a recording stays open while its segments follow."""

    def __init__(
        self, entries: dict[str, str], headers: dict[str, as_is.Header], options: FormatOptions, shard: Shard
    ) -> None:
        self.entries, self.headers, self.options, self.shard = entries, headers, options, shard
        self.writer: FileWriter | ArkWriter | None = None
        if options.audio_format != AS_IS:
            self.writer = open_writer(shard.output_dir / "audio", options.sample_rate, options.audio_format)
        self.num_kept = self.num_rejected = self.num_samples = self.num_first_channel = 0
        self.num_longer = self.num_shorter = self.num_clipped = self.clipped_samples = 0
        self.longer_example = ""
        self.open_id: str | None = None
        self.opened: Recording | RejectedAudio | None = None
        self.stack = ExitStack()

    def run(self, items: list[Utterance]) -> None:
        folder = self.shard.folder
        folder.mkdir(parents=True, exist_ok=True)
        progress = UtteranceProgress(len(items), self.options.sample_rate)
        with (
            atomic_write(folder / "wav.scp") as scp,
            atomic_write(folder / "utt2num_samples") as lengths,
            atomic_write(folder / "utt2stats") as stats,
            atomic_write(folder / CLIPPED_TABLE) as clipped,
            atomic_write(folder / "rejected.tsv") as rejected,
            self.stack,
        ):
            for item in items:
                try:
                    result = self._format(item)
                except RejectedAudio as error:
                    rejected.write(f"{item.utt_id}\t{error.reason}\t{error.detail}\n")
                    self.num_rejected += 1
                else:
                    scp.write(f"{item.utt_id} {result.entry}\n")
                    lengths.write(f"{item.utt_id} {result.num_samples}\n")
                    stats.write(f"{item.utt_id} {statistics_text(result.sums)}\n")
                    if result.clipping.count:
                        clipped.write(f"{item.utt_id} {result.clipping.count / result.num_samples:.6g}\n")
                    self._count(result)
                progress.show(self.num_kept + self.num_rejected, self.num_samples)
            if self.writer is not None:
                self.writer.close()

    def summary(self) -> dict[str, int | str]:
        return {
            "num_kept": self.num_kept,
            "num_rejected": self.num_rejected,
            "num_samples": self.num_samples,
            "num_first_channel": self.num_first_channel,
            "num_longer": self.num_longer,
            "num_shorter": self.num_shorter,
            "num_clipped": self.num_clipped,
            "clipped_samples": self.clipped_samples,
            "longer_example": self.longer_example,
        }

    def _count(self, result: Formatted) -> None:
        self.num_kept += 1
        self.num_samples += result.num_samples
        self.num_clipped += result.clipping.count > 0
        self.clipped_samples += result.clipping.count

    def _format(self, item: Utterance) -> Formatted:
        if self.writer is None:
            return self._take(item)
        recording = self._recording(item.recording_id)
        start, stop = (
            recording.whole() if item.start_seconds is None else recording.span(item.start_seconds, item.end_seconds)
        )
        clipping = Clipping()
        blocks = convert_blocks(recording, start, stop, self.options, clipping)

        def check(sums: SampleSums) -> None:
            check_usable(recording, sums, clipping, self.options)

        whole = item.start_seconds is None and parse_entry(recording.entry).part is None
        if (
            whole
            and isinstance(self.writer, FileWriter)
            and self.writer.audio_format == "flac"
            and recording.is_plain_flac(self.options.sample_rate)
        ):
            sums = SampleSums()
            for block in blocks:
                sums.add(block)
            check(sums)
            entry = self.writer.copy(item.number, item.utt_id, recording.entry)
            return Formatted(entry, sums.count, sums, clipping)
        entry, sums = self.writer.write(item.number, item.utt_id, blocks, check=check)
        if recording.audio.channels > 1 and self.options.channel is None and recording.plan.picks_none:
            self.num_first_channel += 1
        return Formatted(entry, sums.count, sums, clipping)

    def _take(self, item: Utterance) -> Formatted:
        """Leave the audio where it is."""
        noted, is_checked = self.headers.get(item.recording_id), as_is.is_checked(item, self.options)
        recording = self._recording(item.recording_id) if is_checked or noted is None else None
        header = as_is.header_of(recording) if recording is not None else noted
        assert header is not None  # a recording is opened where nothing is noted of it
        as_is.check_against_table(item, noted, header)
        entry = self.entries[item.recording_id]
        as_is.check_header(item, entry, header, self.options)
        start, stop = as_is.span_of(item, header, recording)
        clipping = Clipping()
        sums = None
        if is_checked and recording is not None:
            blocks = convert_blocks(recording, start, stop, self.options, clipping)
            sums = as_is.checked_sums(recording, blocks, clipping, stop - start, self.options)
        if self.options.check_audio != "full":
            sums, clipping = None, Clipping()  # known of some, it would be of no use
        return Formatted(as_is.entry_of(item, entry, (start, stop)), stop - start, sums, clipping)

    def _recording(self, recording_id: str) -> Recording:
        """Open a recording, or say again why it cannot be opened."""
        if recording_id != self.open_id:
            self.stack.close()
            self.open_id = recording_id
            scratch = self.shard.output_dir / WORK_FOLDER
            try:
                self.opened = self.stack.enter_context(
                    open_recording(self.entries[recording_id], scratch, self.options.rules)
                )
                self._compare_with_header(recording_id, self.opened)
            except RejectedAudio as error:
                self.opened = error
        if isinstance(self.opened, RejectedAudio):
            raise RejectedAudio(self.opened.reason, self.opened.detail)
        assert self.opened is not None  # the first call opens one
        return self.opened

    def _compare_with_header(self, recording_id: str, recording: Recording) -> None:
        """Count recordings that are longer, or a little shorter, than their headers say."""
        if recording.surplus_seconds > self.options.truncation_tolerance:
            self.num_longer += 1
            seconds = recording.seconds
            self.longer_example = self.longer_example or (
                f"{recording_id} lasts {seconds:.3f} s, by its header {seconds - recording.surplus_seconds:.3f} s"
            )
        if recording.shortfall_seconds > 0 and (self.options.keep_truncated or not recording.is_truncated):
            self.num_shorter += 1


def statistics_text(sums: SampleSums | None) -> str:
    """A value of utt2stats; 9 digits name a float32."""
    return "nan nan" if sums is None else f"{sums.mean:.9g} {sums.variance:.9g}"


def convert_blocks(
    recording: Recording, start: int, stop: int, options: FormatOptions, clipping: Clipping | None = None
) -> Iterator[np.ndarray]:
    """(samples,) int16 blocks at the wanted rate; what has to be clipped for it is counted in `clipping`."""
    clipping = clipping or Clipping()
    blocks: Iterator[np.ndarray] = recording.blocks(start, stop, options.channel)
    rates = [recording.sample_rate]
    for rate in recording.plan.rates:
        if rate < min(rates[-1], options.sample_rate):  # a detour through a lower rate removes the highs
            rates.append(rate)
    if rates[-1] != options.sample_rate:
        rates.append(options.sample_rate)
    for rate_in, rate_out in pairwise(rates):
        blocks = _resample(blocks, rate_in, rate_out)
    for block in blocks:
        yield np.ascontiguousarray(block) if block.dtype == np.int16 else clipping.to_int16(block)


def _resample(blocks: Iterator[np.ndarray], rate_in: float, rate_out: float) -> Iterator[np.ndarray]:
    stream = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32")
    for block in blocks:
        yield stream.resample_chunk(_to_float(block))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _to_float(block: np.ndarray) -> np.ndarray:
    if block.dtype == np.int16:
        return block.astype(np.float32) / FULL_SCALE
    return np.ascontiguousarray(block)
