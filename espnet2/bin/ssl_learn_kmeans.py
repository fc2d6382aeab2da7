"""The shards of ssl_dump_features in, a k-means folder (centroids, token list, card) out."""

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from espnet2.units.card import KMeansCard, check_card, read_card, save_kmeans
from espnet2.units.request import (
    FLOAT_BYTES,
    SampleRequest,
    add_sample_arguments,
    read_request,
    require_disk,
    require_memory,
)
from espnet2.units.sampling import TO_FIT, Sample
from espnet2.units.source import make_extractor
from espnet2.utils.device import device_name, require_device
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.show import format_bytes

if TYPE_CHECKING:  # torch is loaded late
    from espnet2.units.frame_transform import Projection

NOT_THERE = 3  # exit status of --check


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_sample_arguments(parser)
    parser.add_argument("--num_clusters", type=int, required=True)
    parser.add_argument("--features_dir", type=Path, help="folder with the shards")
    parser.add_argument("--num_jobs", type=int, default=1, help="how many shards there are")
    parser.add_argument("--num_starts", type=int, default=3, help="k-means++ starts; the best goes on (%(default)s)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-3,
        help="stop when a pass lowers the inertia by less than this share (%(default)s)",
    )
    parser.add_argument("--max_passes", type=int, default=100, help="most passes over the sample (%(default)s)")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--check",
        action="store_true",
        help=f"only look: exit 0 if this k-means is there, {NOT_THERE} if none is, "
        "then with a forecast of disk and memory; refuse a layer that the model does not have",
    )
    parser.add_argument("output_dir", type=Path, help="exp/kmeans/<name>")
    arguments = parser.parse_args()
    if arguments.num_clusters < 2:
        raise UserError(f"--num_clusters {arguments.num_clusters}: expected at least 2")
    request = read_request(arguments)
    card = read_card(arguments.output_dir)
    if card is not None:
        check_card(arguments.output_dir, card, {**request.identity, "num_clusters": arguments.num_clusters})
        print(f"{arguments.output_dir}: finished before, kept: {card.describe()}", file=sys.stderr)
        return 0
    if arguments.check:
        _forecast(request, arguments)
        return NOT_THERE
    if arguments.features_dir is None:
        raise UserError("--features_dir is required: the folder that ssl_dump_features wrote to")
    card = _learn(request, arguments)
    print(f"{arguments.output_dir}: {card.describe()}; inertia {card.inertia:.5g} per frame", file=sys.stderr)
    return 0


def _forecast(request: SampleRequest, arguments: argparse.Namespace) -> None:
    """Say what the sample and the clusters will take, before jobs are started for them."""
    from espnet2.units.kmeans import forecast_fit_bytes

    teacher = Path(request.source.model)
    if request.source.model and (teacher / "config.yaml").exists() and not (teacher / "train.done").exists():
        print(f"warning: the training of {teacher} is not finished; its last checkpoint is used", file=sys.stderr)
    extractor = make_extractor(request.source, request.index.sample_rate, device="meta")
    plan, width = request.plan(extractor.geometry), extractor.num_layers * extractor.dim
    request.transform.check_width(width, request.source.describe())
    require_disk(arguments.output_dir, request.disk_bytes(plan, width))
    needed = forecast_fit_bytes(plan.num_frames, request.transform.projected_dim or width, arguments.num_clusters)
    print(
        f"{request.describe(plan, width)}; k-means with {arguments.num_clusters} clusters "
        f"takes {format_bytes(needed)} of memory",
        file=sys.stderr,
    )


def _learn(request: SampleRequest, arguments: argparse.Namespace) -> KMeansCard:
    import torch

    from espnet2.units.frame_transform import FrameTransform
    from espnet2.units.kmeans import fit_kmeans, forecast_fit_bytes

    marks = [request.fingerprint(job, arguments.num_jobs) for job in range(1, arguments.num_jobs + 1)]
    sample = Sample.open(arguments.features_dir, marks)
    projection = _fit_projection(request, arguments.features_dir, marks)
    dim = request.transform.projected_dim or sample.dim
    needed = forecast_fit_bytes(sample.num_frames, dim, arguments.num_clusters)
    print(
        f"k-means: {sample.num_frames:,} frames of {dim} values, {arguments.num_clusters} clusters: "
        f"{format_bytes(needed)} of memory",
        file=sys.stderr,
        flush=True,
    )
    require_memory(needed)
    began = time.monotonic()
    project = FrameTransform(request.transform, projection).project
    result = fit_kmeans(
        sample.read_as(lambda frames: project(torch.from_numpy(frames)).numpy(), dim),
        arguments.num_clusters,
        seed=arguments.seed,
        num_starts=arguments.num_starts,
        tolerance=arguments.tolerance,
        max_passes=arguments.max_passes,
        device=require_device(arguments.device),
        in_place=True,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(f"k-means: {result.num_passes} passes over the sample, {time.monotonic() - began:.1f} s", file=sys.stderr)
    source = request.source
    card = KMeansCard(
        feature=source.feature,
        layer=source.layer,
        model=source.model,
        teacher_hash=source.teacher_hash,
        convention=source.convention,
        num_clusters=arguments.num_clusters,
        dim=dim,
        label_rate=sample.frame_rate,
        sample_rate=request.index.sample_rate,
        seed=request.seed,
        portion=request.portion,
        max_frames=request.max_frames,
        index_hash=request.identity["index_hash"],
        train_sets=tuple(arguments.dump_sets.split()),
        num_frames=result.num_frames,
        inertia=result.inertia,
        num_passes=result.num_passes,
        **asdict(request.transform),
    )
    return save_kmeans(arguments.output_dir, result.centroids, card, projection)


def _fit_projection(request: SampleRequest, features_dir: Path, marks: list[str]) -> "Projection | None":
    if not request.transform.projected_dim:
        return None
    import torch

    from espnet2.units.frame_transform import fit_projection

    sample = Sample.open(features_dir, marks, TO_FIT)
    require_memory(FLOAT_BYTES * sample.num_frames * sample.dim + 3 * 8 * sample.dim**2)
    print(f"{request.transform.describe()}: fitted on {sample.num_frames:,} frames", file=sys.stderr, flush=True)
    return fit_projection(torch.from_numpy(sample.read()), request.transform)


if __name__ == "__main__":
    run_main(main)
