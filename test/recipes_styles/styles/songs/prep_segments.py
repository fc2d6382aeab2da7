#!/usr/bin/env python3
"""Songs with "begin end phone syllable pitch" lines -> segments, labels and scores."""

import os
import sys

from espnet2.fileio.datadir_writer import DatadirWriter
from espnet2.fileio.score_scp import SingingScoreWriter

root, data = sys.argv[1:]
with DatadirWriter(data) as writer, SingingScoreWriter("score_dump", os.path.join(data, "score.scp")) as scores:
    for name in sorted(os.listdir(os.path.join(root, "notes"))):
        song = name.removesuffix(".txt")
        with open(os.path.join(root, "notes", name), encoding="utf-8") as stream:
            notes = [line.split() for line in stream]
        key = f"{song}_0000"
        writer["wav.scp"][song] = os.path.join(root, "wav", f"{song}.wav")
        writer["segments"][key] = f"{song} {notes[0][0]} {notes[-1][1]}"
        writer["text"][key] = " ".join(note[3] for note in notes)
        writer["utt2spk"][key] = song
        writer["label"][key] = " ".join(" ".join(note[:3]) for note in notes)
        values = [[float(note[0]), float(note[1]), note[2], int(note[4])] for note in notes]
        scores[key] = {"tempo": 120, "item_list": ["st", "et", "lyric", "midi"], "note": values}
