#!/usr/bin/env python3
"""A folder of audio and a transcript file -> the tables of a data directory."""

import argparse
from pathlib import Path

from espnet2.utils.types import int_or_none, str2bool, str_or_none

parser = argparse.ArgumentParser()
parser.add_argument("--with_speaker", type=str2bool, default=False)
parser.add_argument("--most", type=int_or_none, default="none")
parser.add_argument("--prefix", type=str_or_none, default="none")
parser.add_argument("root", type=Path)
parser.add_argument("data", type=Path)
args = parser.parse_args()
rows = [line.split(":", 1) for line in (args.root / "transcript_utf8.txt").read_text(encoding="utf-8").splitlines()]
rows = sorted(rows)[: args.most]
speaker = "jsut" if args.with_speaker else args.prefix
with open(args.data / "wav.scp", "w") as wav, open(args.data / "text", "w") as text:
    for name, words in rows:
        wav.write(f"{speaker}_{name} {args.root / 'wav' / name}.wav\n")
        text.write(f"{speaker}_{name} {words}\n")
(args.data / "utt2spk").write_text("".join(f"{speaker}_{name} {speaker}\n" for name, _ in rows))
