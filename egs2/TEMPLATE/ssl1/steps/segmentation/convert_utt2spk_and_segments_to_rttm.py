#!/usr/bin/env python3
"""utt2spk and segments of a data directory -> an RTTM file: who speaks when (NIST, RT-09 evaluation plan)."""

import argparse

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import atomic_write
from espnet2.utils.kaldi_table import read_table


def main() -> None:
    """Write a SPEAKER line for each segment, in the columns of Kaldi's program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reco2file-and-channel", help="file and channel of each recording (default: itself, 1)")
    parser.add_argument("utt2spk")
    parser.add_argument("segments")
    parser.add_argument("rttm_file")
    options = parser.parse_args()
    speakers = read_table(options.utt2spk)
    places = read_table(options.reco2file_and_channel) if options.reco2file_and_channel else {}
    with atomic_write(options.rttm_file) as stream:
        for utterance, rest in read_table(options.segments).items():
            words = rest.split()
            if len(words) != 3 or utterance not in speakers:
                expected = "a speaker in utt2spk, and '<utterance> <recording> <begin> <end>'"
                raise UserError(f"{options.segments}: '{utterance} {rest}': expected {expected}")
            recording, begin, end = words[0], float(words[1]), float(words[2])
            file, channel = places.get(recording, f"{recording} 1").split()
            times = f"{begin:7.2f} {end - begin:7.2f}"
            stream.write(f"SPEAKER {file} {channel} {times} <NA> <NA> {speakers[utterance]} <NA>\n")


if __name__ == "__main__":
    run_main(main)
