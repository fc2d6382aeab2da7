"""A trained model and a set with phones.ctm in, a table out: what cutting long audio changes, and what it saves.

    python benchmark/long_audio.py --model egs2/mini_espeak/ssl1/models/hubert_mini \\
        --dump_set egs2/mini_espeak/hubert1/dump/train

Utterances are joined to one file. Units of every layer, of a k-means of the same file, are compared with those of one
pass over all of it: how many frames have the same, and how much each says about the phones (PNMI). That pass goes piece
by piece through the frontend and the biases of attention; `--nothing_cut` compares with one that does not, which needs
the memory for it.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from espnet2.data.index import AudioIndex
from espnet2.data.waveform import load_wav
from espnet2.models.find import find_model
from espnet2.models.load import load_model
from espnet2.ssl.encoder import stack
from espnet2.ssl.modules import pieces
from espnet2.units.features import LayerFeatures
from espnet2.units.kmeans import assign, fit_kmeans
from espnet2.units.quality import Alignment, joint_counts, quality_of_counts, read_alignments
from espnet2.utils.errors import UserError, run_main

NUM_UNITS = 100
FOREVER = float("1e18")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dump_set", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1200.0, help="of the file, at least (%(default)s)")
    parser.add_argument("--chunks", default="30,15 60,60 120,120", help="chunk and context in seconds (%(default)s)")
    parser.add_argument("--nothing_cut", action="store_true", help="compare with a pass that computes all at once")
    parser.add_argument("--num_threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    model = load_model(find_model(arguments.model)).model
    layers = range(1, model.encoder.num_layers + 1)

    def extractor(**seconds: float) -> LayerFeatures:
        rate = model.frontend.geometry.sample_rate
        return LayerFeatures(model, layers, rate, arguments.device, arguments.model, **seconds)

    wav, phones, num_phones = join(arguments.dump_set, arguments.seconds, extractor().normalize)
    began = time.monotonic()
    with all_at_once() if arguments.nothing_cut else nullcontext():
        (whole,) = extractor(whole_seconds=FOREVER).extract([wav])
    elapsed = time.monotonic() - began
    centroids = [fit_kmeans(layer.cpu(), NUM_UNITS).centroids for layer in whole]
    expected = units_of(whole, centroids)
    aligned = phones.frames(whole.size(1), extractor().geometry.frame_rate)

    def pnmi(units: list[np.ndarray]) -> str:
        counts = (joint_counts([(layer_units, aligned)], NUM_UNITS, num_phones) for layer_units in units)
        return ", ".join(f"{quality_of_counts(layer_counts).pnmi:.3f}" for layer_counts in counts)

    print(
        f"{arguments.model}, {len(wav) / model.frontend.geometry.sample_rate:.0f} s, {arguments.num_threads} threads\n"
    )
    print("| chunk, context | equal units by layer, % | largest difference, of the largest value | PNMI by layer | s |")
    print("|--:|--:|--:|--:|--:|")
    print(f"| one pass | | | {pnmi(expected)} | {elapsed:.0f} |", flush=True)
    ways = {"as by default": extractor()}
    for text in arguments.chunks.split():
        chunk, context = map(float, text.split(","))
        ways[f"{chunk:g} s, {context:g} s"] = extractor(whole_seconds=0, chunk_seconds=chunk, context_seconds=context)
    for name, way in ways.items():
        began = time.monotonic()
        cut = torch.cat(list(way.stream(wav)), dim=1)
        elapsed = time.monotonic() - began
        units = units_of(cut, centroids)
        equal = ", ".join(f"{100 * np.mean(ours == theirs):.1f}" for ours, theirs in zip(units, expected, strict=True))
        pairs = zip(cut, whole, strict=True)
        largest = ", ".join(f"{float((ours - theirs).abs().max() / theirs.abs().max()):.1g}" for ours, theirs in pairs)
        print(f"| {name} | {equal} | {largest} | {pnmi(units)} | {elapsed:.0f} |", flush=True)


@contextmanager
def all_at_once() -> Iterator[None]:
    """Without the limits that make long audio fit into the memory."""
    with (
        mock.patch.object(pieces, "WHOLE_SECONDS", FOREVER),
        mock.patch.object(stack, "LOGITS_AT_ONCE", FOREVER),
    ):
        yield


def join(dump_set: Path, seconds: float, normalize: bool) -> tuple[Tensor, Alignment, int]:
    """Utterances of a set in random order, as one file: its samples, its phones, how many kinds of these there are."""
    index = AudioIndex.open(dump_set)
    alignments = read_alignments(dump_set / "phones.ctm")
    available = float(np.sum(index.num_samples)) / index.sample_rate
    if available < seconds:
        raise UserError(f"{dump_set}: {available:.0f} s of audio; --seconds {seconds:g} needs more")
    order = np.random.default_rng(0).permutation(len(index))
    wavs, rows, length = [], [], 0
    for row in map(int, order):
        if length >= seconds * index.sample_rate:
            break
        wavs.append(load_wav(index, row, normalize=normalize))
        utterance = alignments.utterances.get(index.utt_id(row))
        if utterance is not None:
            offset = length / index.sample_rate
            rows.append((utterance.starts + offset, utterance.ends + offset, utterance.phones))
        length += len(wavs[-1])
    starts, ends, phones = (np.concatenate(part) for part in zip(*rows, strict=True))
    return torch.cat(wavs), Alignment(starts, ends, phones), len(alignments.phones)


def units_of(layers: Tensor, centroids: list[Tensor]) -> list[np.ndarray]:
    """(layers, frames, dim) -> the unit of each frame, layer by layer."""
    return [
        assign(layer.cpu(), layer_centroids).numpy() for layer, layer_centroids in zip(layers, centroids, strict=True)
    ]


if __name__ == "__main__":
    run_main(main)
