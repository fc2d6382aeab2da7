"""Models and two aligned sets in; PNMI of each layer's units for phones that are made earlier or later, out.

Whether a model gains because it knows more of the sound or because it suffers less from phone times that are wrong is
seen where its curve is highest, and how flat it is. One seed of k-means, silence included.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.evaluate.systems import open_system
from espnet2.evaluate.units.table import parse_rows
from espnet2.units.aligned import AlignedSet, align_set, collect
from espnet2.units.alignment import find_phones, read_phones
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.units.quality import Alignment, Alignments, joint_counts, quality_of_counts
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.show import table_row

NUM_CLUSTERS = 100
FRAME_RATE = 50.0  # frames per second


def shifted_phones(aligned: AlignedSet, phones: Alignments, earlier_seconds: float) -> np.ndarray:
    """(all frames,) ids of phones that are made earlier, NO_PHONE where none is."""
    rows = []
    for row, count in zip(aligned.rows, aligned.frame_counts, strict=True):
        known = phones.utterances[aligned.index.utt_id(row)]
        moved = Alignment(known.starts - earlier_seconds, known.ends - earlier_seconds, known.phones)
        rows.append(moved.frames(int(count), FRAME_RATE))
    return np.concatenate(rows)


def curve(train: Tensor, valid: Tensor, phones: Sequence[np.ndarray], num_phones: int) -> list[float]:
    """PNMI for each version of the phones.

    Args:
        train: (frames, dim) that the units are learned on.
        valid: (frames, dim) that the phones are of.
        phones: (frames,) ids each.
    """
    units = assign(valid, fit_kmeans(train, NUM_CLUSTERS).centroids).numpy()
    counts = (joint_counts([(units, version)], NUM_CLUSTERS, num_phones) for version in phones)
    return [quality_of_counts(count).pnmi for count in counts]


def main() -> None:
    """Print a table: one line per layer of each system, one column per shift."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train_set", type=Path, required=True, help="dump/<set>: units are learned here")
    parser.add_argument("--valid_set", type=Path, required=True, help="dump/<set> with phones.ctm")
    parser.add_argument("--rows", required=True, help='"mfcc untrained:exp/a model:exp/a", as ssl_evaluate_units')
    parser.add_argument("--max_train_frames", type=int, default=30_000, help="(%(default)s)")
    parser.add_argument("--shifts_ms", default="-60 -40 -20 0 20 40 60", help="towards earlier times (%(default)s)")
    arguments = parser.parse_args()
    files = find_phones(arguments.valid_set)
    if files is None:
        raise UserError(f"{arguments.valid_set}: no phones.ctm; run stages 1 to 4")
    phones = read_phones(files, arguments.valid_set).alignments
    shifts = [int(word) for word in arguments.shifts_ms.split()]
    systems = parse_rows(arguments.rows)
    sample_rate = AudioIndex.open(arguments.valid_set).sample_rate
    extractors = [open_system(system, sample_rate) for system in systems]
    train, valid = (
        align_set(dump_set, extractors, FRAME_RATE, max_frames, need_phones=False)
        for dump_set, max_frames in ((arguments.train_set, arguments.max_train_frames), (arguments.valid_set, 10**9))
    )
    versions = [shifted_phones(valid, phones, ms / 1000) for ms in shifts]
    print(f"| units | layer | {' | '.join(map(str, shifts))} |\n|---|--:|{'--:|' * len(shifts)}")
    for system, extractor in zip(systems, extractors, strict=True):
        layers = (collect(frames, extractor, FRAME_RATE) for frames in (train, valid))
        for layer, learned, judged in zip(extractor.layers, *layers, strict=True):
            figures = curve(learned, judged, versions, len(phones.phones))
            print(table_row([system.title, layer or "-", *(f"{value:.3f}" for value in figures)]), flush=True)


if __name__ == "__main__":
    run_main(main)
