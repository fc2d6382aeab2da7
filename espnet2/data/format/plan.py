"""The plan of stage 3: its utterances, their division into jobs and a hash of the work."""

import json
import math
import os
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from espnet2.data.audio.decode import DEFAULT_RULES, ReadRules
from espnet2.data.audio.entry import is_in_store, parse_entry
from espnet2.data.audio.pipes import parse_pipe
from espnet2.data.format.filter_tables import COMPANIONS, filtered
from espnet2.data.format.write import AUDIO_FORMATS, UTTERANCES_PER_ARK
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes, hash_file, hash_value, write_json
from espnet2.utils.kaldi_table import iterate_table

FORMAT_VERSION = 1  # of the output; another number makes stage 3 run again
PROBED_FILES = 1000  # files whose size and time of change enter the hash: all would take minutes on a network disk
AS_IS = "as_is"  # the audio format of sets whose audio is read where it lies
CHECKS = ("sample", "full")
WORK_FOLDER = ".format"  # in the output folder while stage 3 is unfinished
DONE_FILE = "format.json"
# Of data/<set>, optional: "<recording> <samples> <Hz> <channels> <format> <subtype>", as headers or columns say.
HEADER_TABLE = "reco2header"
CLIPPED_TABLE = "utt2clipped"  # share of the samples beyond full scale, of the utterances that have such
TABLES = ("wav.scp", "utt2num_samples", "utt2stats", CLIPPED_TABLE, "rejected.tsv")
RESULTS = (*TABLES, DONE_FILE)


@dataclass(frozen=True)
class FormatOptions:
    """What the audio becomes."""

    sample_rate: int  # Hz
    audio_format: str  # one of AUDIO_FORMATS
    channel: int | None = None  # 0-based; None: the first, and a note if there are more
    truncation_tolerance: float = DEFAULT_RULES.truncation_tolerance  # seconds that a header may promise too much
    keep_truncated: bool = DEFAULT_RULES.keep_truncated  # take what is there of audio that lacks more
    float_full_scale: float = DEFAULT_RULES.float_full_scale  # of files of floats
    max_clipped_ratio: float = 0.05  # share of samples beyond full scale at which an utterance is rejected
    check_audio: str = "sample"  # of AS_IS: "sample" decodes some utterances, "full" all

    @property
    def rules(self) -> ReadRules:
        """How recordings are read."""
        return ReadRules(self.truncation_tolerance, self.keep_truncated, self.float_full_scale)

    def changed(self) -> dict[str, object]:
        """The first three, and what differs from the defaults: options that came later leave old hashes as they are."""
        usual = FormatOptions(self.sample_rate, self.audio_format)
        first = ("sample_rate", "audio_format", "channel")
        return {name: value for name, value in asdict(self).items() if name in first or value != getattr(usual, name)}

    @property
    def unit(self) -> int:
        """Utterances that must stay in one job."""
        return UTTERANCES_PER_ARK if self.audio_format.endswith(".ark") else 1


class Utterance(NamedTuple):
    """One line of `segments`, or of wav.scp where there are no segments."""

    number: int  # from 0, in the whole list
    utt_id: str
    recording_id: str
    start_seconds: float | None  # None: the whole recording
    end_seconds: float


def parse_sample_rate(text: str) -> int:
    """Hz of "16000" or "16k".

    >>> parse_sample_rate("22.05k")
    22050
    """
    try:
        rate = round(float(text[:-1]) * 1000) if text.endswith("k") else int(text)
    except ValueError:
        rate = 0
    if rate <= 0:
        raise UserError(f"--fs {text}: not a sample rate; give Hz or kHz, such as 16000 or 16k")
    return rate


def check_options(options: FormatOptions) -> None:
    """Raises UserError on an unknown format or channel, or a number out of its range."""
    if options.audio_format not in (*AUDIO_FORMATS, AS_IS):
        raise UserError(f"--audio_format {options.audio_format}: expected one of {', '.join(AUDIO_FORMATS)}, {AS_IS}")
    if options.check_audio not in CHECKS:
        raise UserError(f"--check_audio {options.check_audio}: expected one of {', '.join(CHECKS)}")
    if options.audio_format == AS_IS and options.channel is not None:
        raise UserError(f"--channel {options.channel}: {AS_IS} takes mono audio only; --audio_format flac picks one")
    if options.channel is not None and options.channel < 0:
        raise UserError(f"--channel {options.channel}: channels are counted from 0")
    if not options.truncation_tolerance >= 0:
        raise UserError(f"--truncation_tolerance {options.truncation_tolerance}: expected seconds, 0 or more")
    if not 0 < options.float_full_scale < math.inf:
        raise UserError(f"--float_full_scale {options.float_full_scale}: expected a number above 0, such as 32768")
    if not 0 <= options.max_clipped_ratio <= 1:
        raise UserError(f"--max_clipped_ratio {options.max_clipped_ratio}: expected a share between 0 and 1")


def list_file(data_dir: Path) -> Path:
    """The table whose lines are the utterances."""
    segments = data_dir / "segments"
    return segments if segments.exists() else data_dir / "wav.scp"


def utterances(data_dir: Path, start: int = 0, stop: int | None = None) -> Iterator[Utterance]:
    """Utterances number `start`..`stop` of data/<set>, in its order.

    Raises:
        UserError: a line of segments is malformed.
    """
    path = list_file(data_dir)
    for number, (utt_id, value) in enumerate(islice(iterate_table(path), start, stop), start):
        if path.name == "wav.scp":
            yield Utterance(number, utt_id, utt_id, None, -1)
            continue
        try:
            recording_id, start_text, end_text = value.split()
            start_seconds, end_seconds = float(start_text), float(end_text)
        except ValueError:
            raise UserError(f"{path}:{number + 1}: expected '<utterance> <recording> <start s> <end s>'") from None
        if start_seconds < 0 or 0 <= end_seconds <= start_seconds:
            raise UserError(f"{path}:{number + 1}: {utt_id} starts at {start_seconds} s and ends at {end_seconds} s")
        yield Utterance(number, utt_id, recording_id, start_seconds, end_seconds)


def job_range(num_utterances: int, unit: int, job: int, num_jobs: int) -> tuple[int, int]:
    """The utterances of a job (counted from 1): equal shares of whole units, in order.

    >>> [job_range(10, 1, job, 3) for job in (1, 2, 3)]
    [(0, 3), (3, 6), (6, 10)]
    """
    units = -(-num_utterances // unit)
    first, last = (job - 1) * units // num_jobs, job * units // num_jobs
    return first * unit, min(last * unit, num_utterances)


def work_hash(data_dir: Path, options: FormatOptions) -> str:
    """Names the input and the options: contents of the tables, and the state of (a sample of) the files they list."""
    parts = [hash_value({"version": FORMAT_VERSION, **options.changed()}), hash_file(data_dir / "wav.scp")]
    names = ("segments", HEADER_TABLE) if options.audio_format == AS_IS else ("segments",)
    parts += [hash_file(data_dir / name) for name in names if (data_dir / name).exists()]
    with open(data_dir / "wav.scp", "rb") as stream:
        total = sum(1 for _ in stream)
    step = max(1, total // PROBED_FILES)
    for _, entry in islice(iterate_table(data_dir / "wav.scp"), 0, None, step):
        parts.append(_file_state(entry))
    return hash_bytes(*parts)


def _file_state(entry: str) -> str:
    """Size and time of change of the file behind an entry; nothing where a command hides it."""
    if entry.endswith("|"):
        plan = parse_pipe(entry)
        if plan is None:
            return "unknown"
        entry = plan.path
    file = parse_entry(entry).file
    if is_in_store(file):
        return "in a store"
    try:
        stat = os.stat(file)
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def prepare(data_dir: Path, output_dir: Path, options: FormatOptions, num_jobs: int) -> int:
    """Check the input and clear what an earlier, different run left.

    Returns:
        The number of jobs to run; 0 when the audio is already there.

    Raises:
        UserError: see `check_data_dir`.
    """
    check_options(options)
    if not (data_dir / "wav.scp").exists():
        raise UserError(f"{data_dir}/wav.scp: no such file; run stage 1 (local/data.sh) for this set")
    if data_dir.resolve() == output_dir.resolve():
        raise UserError(f"{output_dir}: input and output are the same folder")
    work = work_hash(data_dir, options)
    if done_hash(output_dir) == work:
        return 0
    num_utterances = check_data_dir(data_dir)
    work_folder = output_dir / WORK_FOLDER
    if read_hash(work_folder / "work.json") != work:
        for name in RESULTS[::-1]:  # the mark of completeness first
            (output_dir / name).unlink(missing_ok=True)
        for folder in (work_folder, output_dir / "audio"):
            shutil.rmtree(folder, ignore_errors=True)
        write_json(work_folder / "work.json", {"hash": work, "num_utterances": num_utterances, **asdict(options)})
    return max(1, min(num_jobs, -(-num_utterances // options.unit)))


def done_hash(output_dir: Path) -> str | None:
    """The work that `output_dir` holds whole; None if it holds none."""
    return read_hash(output_dir / DONE_FILE)


def read_hash(path: Path) -> str | None:
    """The "hash" of a JSON file; None if there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8")).get("hash")
    except (OSError, ValueError, AttributeError):
        return None


def _recordings(wav_scp: Path, fix: str) -> set[str]:
    """The ids of wav.scp; each once, with something behind it."""
    ids: set[str] = set()
    for number, (recording_id, entry) in enumerate(iterate_table(wav_scp), 1):
        if not entry or recording_id in ids:
            what = "appears twice" if entry else "has no file and no command behind it"
            raise UserError(
                f"{wav_scp}:{number}: '{recording_id}' {what}; expected '<recording> <file or command>': {fix}"
            )
        ids.add(recording_id)
    return ids


def check_data_dir(data_dir: Path) -> int:
    """Count the utterances; they must be sorted, unique and those of utt2spk, their recordings in wav.scp.

    Raises:
        UserError: names the first line that is not so, and the remedy.
    """
    path = list_file(data_dir)
    fix = f"run utils/fix_data_dir.sh {data_dir}"
    speakers = iterate_table(data_dir / "utt2spk")
    recordings = _recordings(data_dir / "wav.scp", fix) if path.name == "segments" else None
    previous, count = "", 0
    for count, utterance in enumerate(utterances(data_dir), 1):
        utt_id = utterance.utt_id
        if utt_id <= previous:
            what = "appears twice" if utt_id == previous else f"comes after '{previous}'"
            raise UserError(f"{path}:{count}: '{utt_id}' {what}; expected unique ids in C-locale order: {fix}")
        previous = utt_id
        speaker_key, speaker = next(speakers, (None, ""))
        if speaker_key != utt_id or not speaker:
            description = "the file ends" if speaker_key is None else f"found '{speaker_key} {speaker}'"
            raise UserError(
                f"{data_dir}/utt2spk:{count}: {description}, expected '{utt_id} <speaker>' as in {path.name}: {fix}"
            )
        if recordings is not None and utterance.recording_id not in recordings:
            raise UserError(f"{path}:{count}: recording '{utterance.recording_id}' is not in wav.scp: {fix}")
    extra = next(speakers, None)
    if extra is not None:
        raise UserError(f"{data_dir}/utt2spk:{count + 1}: '{extra[0]}' is not in {path.name}: {fix}")
    if count == 0:
        raise UserError(f"{path}: empty; stage 1 (local/data.sh) wrote no utterance for this set")
    for name in COMPANIONS:
        if (data_dir / name).exists():
            deque(filtered(data_dir / name, ()), maxlen=0)  # reads and checks it now, not after hours of decoding
    return count
