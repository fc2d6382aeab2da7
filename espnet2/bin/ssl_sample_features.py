"""Training sets in, one shard of the sample of frames that k-means learns from out (an array job)."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch import Tensor

from espnet2.units.features import FeatureExtractor, map_features
from espnet2.units.frame_transform import FrameTransform, moving_mean
from espnet2.units.request import SampleRequest, add_sample_arguments, read_request, require_disk
from espnet2.units.sampling import TO_FIT, FeatureShard, SamplePlan, job_part, sampled_frames
from espnet2.units.source import make_extractor
from espnet2.units.speakers import SpeakerStatistics, gather_speakers
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
    to_fit = FeatureShard(arguments.output_dir, arguments.job, TO_FIT)
    projects = request.transform.projected_dim > 0
    if shard.is_done(mark) and (not projects or to_fit.is_done(mark)):
        print(f"{shard.frames_path}: finished before, kept", file=sys.stderr)
        return
    extractor = make_extractor(request.source, request.index.sample_rate, arguments.device)
    plan = request.plan(extractor.geometry)
    width = extractor.num_layers * extractor.dim
    request.transform.check_width(width, request.source.describe())
    print(request.describe(plan, width), file=sys.stderr)
    require_disk(arguments.output_dir, request.disk_bytes(plan, width) // arguments.num_jobs)
    rows = job_part(plan.rows, arguments.job, arguments.num_jobs)
    picker = _Picker(request, plan, gather_speakers(request.index, rows.tolist(), extractor, request.transform))
    frames = _frames(picker, rows, extractor, arguments)
    count = shard.write(frames, width, extractor.geometry.frame_rate, mark)
    if projects:
        to_fit.write(iter(picker.to_fit), width, extractor.geometry.frame_rate, mark)
    print(f"{shard.frames_path}: {count:,} frames of {len(rows):,} utterances", file=sys.stderr)


class _Picker:
    """Takes the sampled frames of an utterance; for PCA and whitening, gathers others, which are not smoothed."""

    def __init__(self, request: SampleRequest, plan: SamplePlan, speakers: SpeakerStatistics | None) -> None:
        self.request, self.plan, self.speakers = request, plan, speakers
        self.transform = FrameTransform(request.transform)
        self.to_fit: list[np.ndarray] = []  # (frames, dim) of each utterance

    def __call__(self, utt_id: str, features: Tensor) -> np.ndarray:
        """(layers, frames, dim) -> (taken, layers * dim)."""
        speaker = self.speakers.of(utt_id) if self.speakers else None
        (frames,) = self.transform.normalised(lambda: iter([features.cpu()]), speaker)
        options, plan, seed = self.request.transform, self.plan, self.request.seed
        if options.projected_dim:
            self.to_fit.append(frames.numpy()[sampled_frames(utt_id, len(frames), plan.keep_to_fit, seed + 1)])
        smooth = moving_mean(frames, options.smooth_frames).numpy()
        sampled: np.ndarray = smooth[sampled_frames(utt_id, len(smooth), plan.keep, seed)]
        return sampled


def _frames(
    picker: _Picker, rows: np.ndarray, extractor: FeatureExtractor, arguments: argparse.Namespace
) -> Iterator[np.ndarray]:
    """The sampled frames of each utterance: (frames, dim)."""
    index = picker.request.index
    seconds = index.num_samples[rows].sum() / index.sample_rate
    progress = AudioProgress(f"features, shard {arguments.job} of {arguments.num_jobs}", float(seconds))

    def pick(row: int, features: Tensor) -> np.ndarray:
        progress.add(index.num_samples[row] / index.sample_rate)
        return picker(index.utt_id(row), features)

    return map_features(index, rows, extractor, pick)


if __name__ == "__main__":
    run_main(main)
