"""Training sets and a config in, the mean and deviation of their mel frames (stage 6) out, where it needs them."""

import argparse
import sys

from espnet2.utils.errors import run_main

DESCRIPTION = """\
Gather the statistics by which frontend_conf "mel_norm: corpus" normalises: dump/<set>/mel_stats/<hash>.json, one file
per set, found by the training and stored in its checkpoints. Does nothing where the config needs none or they are up
to date. Stopped and started again, it goes on. Any key of the config can be overridden, as for ssl_train.
"""


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("ssl_mel_stats", description=DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--config", required=True, help="YAML file, conf/train_<objective>_<size>.yaml")
    parser.add_argument("--train_sets", required=True, help="dump/<set>, or several separated by spaces")
    parser.add_argument(
        "--max_hours", type=float, default=100.0, help="audio to read per set, spread evenly (default: %(default)g)"
    )
    parser.add_argument("--workers", type=int, default=4, help="processes (default: %(default)s)")
    options, overrides = parser.parse_known_args()
    from espnet2.pretrain.architecture import load_training_config
    from espnet2.tasks.build import statistics_settings
    from espnet2.units.mel_gather import gather_statistics, read_statistics

    settings = statistics_settings(load_training_config(options.config, overrides))
    if settings is None:
        print(
            f"mel statistics: skipped: {options.config} needs none (no mel_norm: corpus, or init_from has them)",
            file=sys.stderr,
        )
        return
    for dump_set in options.train_sets.split():
        path = gather_statistics(
            dump_set,
            settings,
            max_hours=options.max_hours,
            num_workers=options.workers,
            tell=lambda line: print(line, file=sys.stderr, flush=True),
        )
        total = read_statistics([dump_set], settings)
        mean, std = total.mean_and_std(per_bin=False)
        print(f"{path}: {total.num_frames:,} frames, mean {mean[0]:.4f}, deviation {std[0]:.4f}", file=sys.stderr)


if __name__ == "__main__":
    run_main(main)
