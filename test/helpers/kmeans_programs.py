"""A corpus in, a k-means learned and labels made by the programs out, with any number of jobs."""

from pathlib import Path

from tiny_units import run_program

from espnet2.data.labels.packed import PackedLabels


def learn(corpus: Path, kmeans: Path, *options: object, num_jobs: int = 1, num_clusters: int = 6) -> None:
    """K-means of the train set.

    Args:
        options: of the sample.
    """
    sample = ["--dump_sets", corpus / "dump/train", *options]
    for job in range(1, num_jobs + 1):
        words = ["--output_dir", kmeans / "features", "--job", job, "--num_jobs", num_jobs]
        run_program("ssl_sample_features", *sample, *words)
    words = ["--num_clusters", num_clusters, "--features_dir", kmeans / "features", "--num_jobs", num_jobs, kmeans]
    run_program("ssl_learn_kmeans", *sample, *words)


def label(kmeans: Path, dump_set: Path, *, num_jobs: int = 1) -> PackedLabels:
    """Labels of a set, packed."""
    for job in range(1, num_jobs + 1):
        run_program("ssl_kmeans_labels", "--job", job, "--num_jobs", num_jobs, kmeans, dump_set)
    run_program("ssl_kmeans_labels", "--merge", "--num_jobs", num_jobs, kmeans, dump_set)
    return PackedLabels.open(kmeans / "labels" / dump_set.name)
