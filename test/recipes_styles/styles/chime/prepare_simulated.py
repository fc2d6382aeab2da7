#!/usr/bin/env python3
"""A JSON list of mixtures -> a data directory with the references of each."""

import json
import sys
from pathlib import Path

from espnet2.fileio.datadir_writer import DatadirWriter

source, target = map(Path, sys.argv[1:])
with DatadirWriter(target) as writer:
    folder = writer["dt05_simu"]
    for entry in sorted(json.loads(source.read_text()), key=lambda entry: entry["name"]):
        folder["wav.scp"][entry["name"]] = entry["mixture"]
        folder["spk1.scp"][entry["name"]] = entry["reference"]
        folder["utt2spk"][entry["name"]] = entry["speaker"]
