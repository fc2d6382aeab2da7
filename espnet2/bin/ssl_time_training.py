"""A training's config and data in, its speed and the updates that fill the wanted minutes out, kept in a JSON file."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

from espnet2.utils.errors import UserError, run_main
from espnet2.utils.files import hash_value, require_json, write_json
from espnet2.utils.json_record import record_fault

DESCRIPTION = """\
Measure how many updates of a training fit into a number of minutes, by a short trial on a quiet machine.
The file keeps what was measured: asked again for the same name and config, the answer is the same, so repeated and
resumed runs train equally long. Overrides of the config follow as in ssl_train. Prints the number of updates.
"""


class CalibrationJson(TypedDict):
    """As much of an entry of calibration.json as decides whether it holds for this training."""

    config_hash: str
    minutes: float
    clock: str
    max_update: int


def main() -> None:
    """Entry point."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--config", required=True, help="YAML file, conf/train_<objective>_<size>.yaml")
    parser.add_argument("--train_sets", required=True, help="dump/<set>, or several separated by spaces")
    parser.add_argument("--valid_sets", required=True, help="dump/<set>, or several")
    parser.add_argument("--train_labels", default="", help="packed labels, one folder per train set")
    parser.add_argument("--valid_labels", default="", help="packed labels, one folder per valid set")
    parser.add_argument("--name", required=True, help="of the training, in the file")
    parser.add_argument("--minutes", type=float, required=True, help="of the training to be")
    parser.add_argument(
        "--clock", choices=["wall", "core"], default="wall", help="core: minutes of one core's time (--num_threads 1)"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="of the trial (%(default)s)")
    parser.add_argument("--file", type=Path, required=True, help="calibration.json")
    parser.add_argument("--ngpu", type=int, default=0, choices=[0, 1])
    options, overrides = parser.parse_known_args()
    if options.minutes <= 0 or options.seconds <= 0:
        raise UserError("--minutes and --seconds: expected numbers above 0")
    from espnet2.pretrain.architecture import load_training_config

    config = load_training_config(options.config, overrides)
    config_hash = hash_value(config.model_dump(mode="json"))
    known = require_json(options.file, "delete it, to measure again") if options.file.is_file() else {}
    entry = known.get(options.name)
    if entry is not None:
        fault = record_fault(entry, CalibrationJson) if isinstance(entry, dict) else f"is {str(entry)[:60]}"
        if fault:
            raise UserError(f"{options.file}: '{options.name}' {fault}; delete that entry, to measure again")
    if entry is None:
        from espnet2.pretrain.inputs import DataPaths
        from espnet2.pretrain.trial import time_training
        from espnet2.train.distributed import process_group

        names = ("train_sets", "valid_sets", "train_labels", "valid_labels")
        paths = DataPaths(*(getattr(options, name).split() for name in names))
        with process_group(options.ngpu) as ranks:
            trial = time_training(config, paths, ranks, seconds=options.seconds, clock=options.clock)
        entry = asdict(trial) | {"config_hash": config_hash, "max_update": trial.max_update(options.minutes)}
        entry["minutes"] = options.minutes
        write_json(options.file, known | {options.name: entry})
        if not trial.is_quiet:
            print(
                f"ssl_time_training: warning: {options.name}: other processes used {trial.others_share:.0%} of the "
                f"machine meanwhile; alone it would be quicker. Delete its entry in {options.file} to measure again",
                file=sys.stderr,
            )
    elif (entry["config_hash"], entry["minutes"], entry["clock"]) != (config_hash, options.minutes, options.clock):
        raise UserError(
            f"{options.file}: '{options.name}' was timed with another config, other minutes or another clock; "
            "give the comparison another name, or delete that entry and the training it led to"
        )
    print(entry["max_update"])


if __name__ == "__main__":
    run_main(main)
