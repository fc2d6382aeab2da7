"""The folder of GigaSpeech in, the tables of data/train_<subset>, data/dev and data/test out, with segments."""

import argparse
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from read_json import iterate_audios

from espnet2.data_prep.scan import require_root
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main

WHAT = "GigaSpeech (--gigaspeech_root)"
METADATA = "GigaSpeech.json"
SUBSETS = ("xs", "s", "m", "l", "xl")  # 10, 250, 1,000, 2,500 and 10,000 hours; each is part of the next
# Segments whose whole text is one of these hold no speech; the other tags stand for punctuation.
NO_SPEECH = {"<SIL>", "<MUSIC>", "<NOISE>", "<OTHER>"}
TAG = re.compile(r"<[A-Z]+>")
NUM_NAMED = 5  # offenders an error names


@dataclass
class Tally:
    """What became of the segments of a set."""

    kept: int = 0
    without_speech: int = 0
    without_length: int = 0
    recordings: int = 0
    missing: int = 0  # recordings
    named: list[str] = field(default_factory=list)  # the first missing recordings

    def left_out(self) -> str:
        """In words, for the log; empty where nothing was left out."""
        reasons = {
            "segments without speech": self.without_speech,
            "segments that end before they begin": self.without_length,
            "recordings that are not there": self.missing,
        }
        return "; left out: " * any(reasons.values()) + ", ".join(
            f"{count:,} {what}" for what, count in reasons.items() if count
        )


def clean(text: str) -> str:
    """The words of `text_tn`: tags such as <COMMA> removed."""
    return " ".join(TAG.sub(" ", text).split())


def utterances_of(audio: dict[str, Any], root: Path, subset: str, tally: Tally) -> list[Utterance]:
    """The utterances of one recording that are in a subset ("{XS}").

    The corpus does not tell its speakers apart, so a recording counts as one speaker.
    """
    segments = [segment for segment in audio["segments"] if subset in segment["subsets"]]
    if not segments:
        return []
    path = root / audio["path"]
    tally.recordings += 1
    if not os.path.exists(path):
        tally.missing += 1
        tally.named += [audio["path"]] * (len(tally.named) < NUM_NAMED)
        return []
    utterances = []
    for segment in segments:
        start, end = float(segment["begin_time"]), float(segment["end_time"])
        if segment["text_tn"].strip() in NO_SPEECH:
            tally.without_speech += 1
        elif round(end, 3) <= round(start, 3):
            tally.without_length += 1
        else:
            tally.kept += 1
            utterances.append(
                Utterance(
                    utt_id=segment["sid"],
                    speaker=audio["aid"],
                    wav=str(path),
                    text=clean(segment["text_tn"]),
                    language="en",
                    start=start,
                    end=end,
                    recording=audio["aid"],
                )
            )
    return utterances


def utterances(root: Path, subset: str, max_missing_ratio: float, tally: Tally) -> Iterator[Utterance]:
    """The utterances of a subset, read in one pass over the metadata.

    Raises:
        UserError: an entry lacks a field, or too many recordings are missing.
    """
    metadata = root / METADATA
    for number, audio in enumerate(iterate_audios(metadata), 1):
        try:
            yield from utterances_of(audio, root, subset, tally)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            name = audio.get("aid", f"number {number}")
            raise UserError(f"{metadata}: recording {name}: {type(error).__name__} {error}: malformed") from None
    if not tally.recordings:
        raise UserError(f"{metadata}: no segment of the subset {subset}")
    if tally.missing > max_missing_ratio * tally.recordings:
        raise UserError(
            f"{root}: {tally.missing:,} of the {tally.recordings:,} recordings of {subset} are missing: "
            f"{', '.join(tally.named)}{', ...' * (tally.missing > NUM_NAMED)}; fetch them, or raise --max_missing_ratio"
        )


def main() -> None:
    """Read the metadata once per set, write the sets, say what was left out."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help=f"folder with {METADATA} and audio/")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for the sets")
    parser.add_argument("--subset", choices=SUBSETS, required=True, help="size of the training set")
    parser.add_argument("--max_missing_ratio", type=float, required=True, help="recordings that may be missing")
    arguments = parser.parse_args()
    root = require_root(arguments.root.absolute(), (METADATA, "audio"), WHAT)
    for dset, subset in ((f"train_{arguments.subset}", arguments.subset), ("dev", "dev"), ("test", "test")):
        tally = Tally()
        rows = utterances(root, f"{{{subset.upper()}}}", arguments.max_missing_ratio, tally)
        summary = write_data_dir(arguments.output_dir / dset, rows)
        print(f"{dset}: {summary.num_speakers:,} recordings, {summary.num_utterances:,} segments{tally.left_out()}")


if __name__ == "__main__":
    run_main(main)
