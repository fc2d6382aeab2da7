"""Training sets in, one shard of the sample of frames that k-means learns from out (an array job)."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from espnet2.units.features import FeatureExtractor, map_features
from espnet2.units.request import FLOAT_BYTES, SampleRequest, add_sample_arguments, read_request, require_disk
from espnet2.units.sampling import FeatureShard, SamplePlan, job_part, sampled_frames
from espnet2.units.source import make_extractor
from espnet2.utils.device import device_name
from espnet2.utils.errors import run_main
from espnet2.utils.progress import AudioProgress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_sample_arguments(parser)
    parser.add_argument("--output_dir", type=Path, required=True, help="gets features.<job>.npy: (frames, dim) float32")
    parser.add_argument("--job", type=int, default=1, help="which shard, from 1")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many shards")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda: where the model runs")
    arguments = parser.parse_args()
    request = read_request(arguments)
    shard = FeatureShard(arguments.output_dir, arguments.job)
    mark = request.fingerprint(arguments.job, arguments.num_jobs)
    if shard.is_done(mark):
        print(f"{shard.frames_path}: finished before, kept", file=sys.stderr)
        return
    extractor = make_extractor(request.source, request.index.sample_rate, arguments.device)
    plan = request.plan(extractor.geometry)
    print(request.describe(plan, extractor.dim), file=sys.stderr)
    require_disk(arguments.output_dir, FLOAT_BYTES * plan.num_frames * extractor.dim // arguments.num_jobs)
    rows = job_part(plan.rows, arguments.job, arguments.num_jobs)
    count = shard.write(
        _frames(request, plan, rows, extractor, arguments), extractor.dim, extractor.geometry.frame_rate, mark
    )
    print(f"{shard.frames_path}: {count:,} frames of {len(rows):,} utterances", file=sys.stderr)


def _frames(
    request: SampleRequest,
    plan: SamplePlan,
    rows: np.ndarray,
    extractor: FeatureExtractor,
    arguments: argparse.Namespace,
) -> Iterator[np.ndarray]:
    """The sampled frames of each utterance: (frames, dim)."""
    index = request.index
    seconds = index.num_samples[rows].sum() / index.sample_rate
    progress = AudioProgress(f"features, shard {arguments.job} of {arguments.num_jobs}", float(seconds))

    def pick(row: int, features: Tensor) -> np.ndarray:
        progress.add(index.num_samples[row] / index.sample_rate)
        frames = features[0].cpu().numpy()
        return frames[sampled_frames(index.utt_id(row), len(frames), plan.keep, request.seed)]

    return map_features(index, rows, extractor, pick)


if __name__ == "__main__":
    run_main(main)
