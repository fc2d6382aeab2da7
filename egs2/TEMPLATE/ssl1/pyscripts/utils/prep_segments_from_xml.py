#!/usr/bin/env python3
"""MusicXML scores of whole songs in; segments between pauses, their syllables and scores out."""

import argparse
import math
from pathlib import Path

from espnet2.fileio.score_scp import NOTE, SingingScoreWriter, XMLReader
from espnet2.utils.errors import run_main
from espnet2.utils.files import atomic_write

NUMBER_DIGITS = 4  # of a segment's name: <song>_0000
ITEMS = ("st", "et", "lyric", "midi")


def divided(notes: list[NOTE], most_seconds: float) -> list[list[NOTE]]:
    """A phrase in the fewest parts of about the same length, none much above the limit."""
    count = math.ceil((notes[-1].et - notes[0].st) / most_seconds)
    if count <= 1:
        return [notes]
    usual = (notes[-1].et - notes[0].st) / count
    parts: list[list[NOTE]] = [[]]
    for note in notes:
        if parts[-1] and note.et - parts[-1][0].st > usual:
            parts.append([])
        parts[-1].append(note)
    return parts


def phrases(notes: list[NOTE], silences: list[str], most_seconds: float) -> list[list[NOTE]]:
    """The notes between silences."""
    between_silences: list[list[NOTE]] = [[]]
    for note in notes:
        if note.lyric in silences:
            between_silences.append([])
        else:
            between_silences[-1].append(note)
    return [part for phrase in between_silences if phrase for part in divided(phrase, most_seconds)]


def main() -> None:
    """Read <scp>/score.scp, write segments_from_xml.tmp, text.tmp and score.scp.tmp beside it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scp", type=Path, help="a data directory; score.scp names MusicXML files")
    parser.add_argument("--threshold", type=int, default=30000, help="milliseconds; longer phrases are divided")
    parser.add_argument("--silence", action="append", default=["P"], help="lyric of a pause; may be given again")
    parser.add_argument("--score_dump", default="score_dump", help="folder of the new scores")
    options = parser.parse_args()
    reader = XMLReader(options.scp / "score.scp")
    with (
        SingingScoreWriter(options.score_dump, options.scp / "score.scp.tmp") as writer,
        atomic_write(options.scp / "segments_from_xml.tmp") as segments,
        atomic_write(options.scp / "text.tmp") as text,
    ):
        for song in reader:
            tempo, notes = reader[song]
            for number, part in enumerate(phrases(notes, options.silence, options.threshold / 1000)):
                key = f"{song}_{number:0{NUMBER_DIGITS}}"
                segments.write(f"{key} {song} {part[0].st:.3f} {part[-1].et:.3f}\n")
                text.write(f"{key} {' '.join(note.lyric for note in part)}\n")
                values = [[note.st, note.et, note.lyric, note.midi] for note in part]
                writer[key] = {"tempo": tempo, "item_list": list(ITEMS), "note": values}


if __name__ == "__main__":
    run_main(main)
