"""Formatted sets and a config in; an error where utterances are shorter than the objective needs (stage 4) out."""

import argparse

from espnet2.utils.errors import run_main

DESCRIPTION = """\
Compare the lengths of dump/<set> with what the objective of a config needs to hide and to see, before labels are made
of them. Any key of the config can be overridden, as for ssl_train.
"""


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "ssl_check_lengths", description=DESCRIPTION, formatter_class=raw, allow_abbrev=False
    )
    parser.add_argument("--config", required=True, help="YAML file, conf/train_<objective>_<size>.yaml")
    parser.add_argument("--train_sets", required=True, help="dump/<set>, or several separated by spaces")
    parser.add_argument("--valid_sets", required=True, help="dump/<set>, or several")
    options, overrides = parser.parse_known_args()
    import torch

    from espnet2.data.index import open_indexes
    from espnet2.pretrain.architecture import load_training_config
    from espnet2.pretrain.inputs import check_sets
    from espnet2.tasks.build import build, without_labels

    config = load_training_config(options.config, overrides)
    with torch.device("meta"):
        model = build(without_labels(config))
    train, valid = (open_indexes(names.split()) for names in (options.train_sets, options.valid_sets))
    check_sets(config, model, train, valid, max_speed=config.max_speed)


if __name__ == "__main__":
    run_main(main)
