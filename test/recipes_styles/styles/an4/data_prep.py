#!/usr/bin/env python3
"""The lists of the corpus -> wav.scp, text and utt2spk, unsorted."""

import os
import re
import sys

root, sph2pipe = sys.argv[1:]
for part in ("train", "test"):
    with (
        open(os.path.join(root, "etc", f"an4_{part}.transcription")) as transcripts,
        open(os.path.join(root, "etc", f"an4_{part}.fileids")) as names,
        open(os.path.join("data", part, "text"), "w") as text,
        open(os.path.join("data", part, "wav.scp"), "w") as wav,
        open(os.path.join("data", part, "utt2spk"), "w") as utt2spk,
    ):
        for name, line in zip(names, transcripts, strict=True):
            words = re.search(r"(.*) \(", line).group(1).replace("<s>", "").replace("</s>", "").strip()
            middle = name.strip().split("/")[-1]
            speaker = name.strip().split("/")[-2]
            key = f"{speaker}-{middle}"
            text.write(f"{key} {words}\n")
            wav.write(f"{key} {sph2pipe} -f wav -p -c 1 {os.path.join(root, 'wav', name.strip() + '.sph')} |\n")
            utt2spk.write(f"{key} {speaker}\n")
