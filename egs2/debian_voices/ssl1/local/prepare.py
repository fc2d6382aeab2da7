"""The unpacked Debian packages in, 16 kHz FLAC and the tables of data/train and data/dev out."""

import argparse
import hashlib
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the parallel unit is the file

import numpy as np
import soundfile
from clips import Clip, list_clips

from espnet2.data.audio.decode import open_recording
from espnet2.data.audio.rejected import RejectedAudio
from espnet2.data.format.convert import convert_blocks
from espnet2.data.format.plan import FormatOptions
from espnet2.data_prep.scan import map_in_order
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write
from espnet2.utils.progress import Progress

SAMPLE_RATE = 16000  # Hz
DEV_SHARE = 10  # one sentence in ten
# Of asterisk-core-sounds 1.6.1-1 and tuxpaint-stamps-default 2022.06.04-1: all clips that this recipe keeps.
CONTENT_SHA256 = "e7ce762a99a2fb0abccb271448d0004259865608a5ab0de803a518359d3e6870"


class Job(NamedTuple):
    """One file to convert."""

    source: Path
    target: Path


def is_dev(clip: Clip) -> bool:
    """Whether a clip is held out: by the hash of what is said, so that a repeated sentence is in one set only."""
    digest = hashlib.sha256(f"{clip.language} {clip.sentence}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % DEV_SHARE == 0


def content_checksum(checksums: dict[str, str]) -> str:
    """SHA-256 over all clips, each as its id and the SHA-256 of its file."""
    lines = "".join(f"{utt_id} {checksum}\n" for utt_id, checksum in sorted(checksums.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def convert(job: Job) -> float:
    """Decode a file to mono 16 kHz FLAC, unless that is there already.

    Some of the stereo files have an empty left channel: the louder one is taken.

    Returns:
        seconds of audio.

    Raises:
        UserError: it cannot be decoded.
    """
    if not job.target.exists():
        job.target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open_recording(str(job.source), job.target.parent) as recording:
                channels = [
                    np.concatenate(list(convert_blocks(recording, *recording.whole(), options(channel))))
                    for channel in range(recording.audio.channels)
                ]
        except RejectedAudio as error:
            raise UserError(f"{error.detail}; the package is damaged: fetch or unpack it again") from None
        loudest = max(channels, key=lambda samples: np.square(samples.astype(np.float64)).sum())
        partial = job.target.with_suffix(".partial")
        soundfile.write(partial, loudest, SAMPLE_RATE, "PCM_16", format="FLAC")
        partial.rename(job.target)  # whole or not at all, without waiting for the disk as atomic_write does
    return soundfile.info(job.target).duration


def options(channel: int) -> FormatOptions:
    """What convert_blocks is to make of a channel."""
    return FormatOptions(SAMPLE_RATE, "flac", channel)


def convert_all(clips: list[Clip], audio_dir: Path, checksum: str, num_jobs: int) -> Iterator[float]:
    """Convert what is not there yet, and yield the seconds of every clip; audio of another corpus is removed first."""
    mark = audio_dir / "source.txt"
    if audio_dir.exists() and (not mark.exists() or mark.read_text(encoding="utf-8") != f"{checksum}\n"):
        shutil.rmtree(audio_dir)
    with atomic_write(mark) as stream:
        stream.write(f"{checksum}\n")
    progress = Progress("files converted", len(clips))
    jobs = [Job(clip.path, audio_dir / clip.speaker / f"{clip.utt_id}.flac") for clip in clips]
    for seconds in map_in_order(convert, jobs, num_jobs):
        progress.add()
        yield seconds


def main() -> None:
    """Check the corpus, convert, split, write both sets, say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="folder into which the packages were unpacked")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/ and dev/ (tables)")
    parser.add_argument("--audio_dir", type=Path, required=True, help="folder for the converted audio")
    parser.add_argument("--check_content", choices=("true", "false"), default="true", help="compare the SHA-256")
    parser.add_argument("--nj", type=int, default=4, help="processes at a time; the output is the same for any number")
    arguments = parser.parse_args()
    listing = list_clips(arguments.root)
    clips, checksum = listing.clips, content_checksum(listing.checksums)
    if arguments.check_content == "true" and checksum != CONTENT_SHA256:
        raise UserError(
            f"{arguments.root}: SHA-256 of the clips is {checksum}, expected {CONTENT_SHA256}; fetch the packages "
            "again, or pass --check_content false if you mean to use other versions"
        )
    print(f"{len(clips)} clips; left out: {listing.num_duplicates} exact duplicates, {listing.num_empty} empty files")
    seconds = dict(zip(clips, convert_all(clips, arguments.audio_dir, checksum, arguments.nj), strict=True))
    for dset, held_out in (("train", False), ("dev", True)):
        part = [clip for clip in clips if is_dev(clip) is held_out]
        if not part:
            raise UserError(f"{arguments.root}: {len(clips)} clips leave none for the {dset} set")
        write_data_dir(arguments.output_dir / dset, (utterance(clip, arguments.audio_dir) for clip in part))
        describe(dset, part, seconds)


def utterance(clip: Clip, audio_dir: Path) -> Utterance:
    """A clip as a line of each table."""
    wav = str(audio_dir / clip.speaker / f"{clip.utt_id}.flac")
    return Utterance(clip.utt_id, clip.speaker, wav, clip.text, clip.language)


def describe(dset: str, part: list[Clip], seconds: dict[Clip, float]) -> None:
    """Say how much a set holds, and how much of each language and speaker."""
    by_voice: dict[tuple[str, str], list[Clip]] = defaultdict(list)
    for clip in part:
        by_voice[clip.language, clip.speaker].append(clip)
    minutes = sum(seconds[clip] for clip in part) / 60
    num_texts = sum(clip.text != "" for clip in part)
    print(
        f"{dset}: {len(part)} utterances, {minutes:.1f} minutes, {len({clip.speaker for clip in part})} speakers, "
        f"{len({clip.language for clip in part})} languages, {num_texts} transcripts"
    )
    for (language, speaker), clips in sorted(by_voice.items()):
        print(
            f"  {language} {speaker}: {len(clips)} utterances, {sum(seconds[clip] for clip in clips) / 60:.1f} minutes"
        )


if __name__ == "__main__":
    run_main(main)
