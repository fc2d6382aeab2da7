"""A config, data sets and labels in, a trained model in --output_dir out; run again, it goes on where it stopped."""

import argparse
import os
import sys
from pathlib import Path

from espnet2.launch.signals import REQUEUE_EXIT_CODE, StopSignals
from espnet2.utils.errors import UserError, run_main

DESCRIPTION = """\
Pre-train a model. Any key of the config can be overridden: --max_update 100 --optim_conf lr=1e-4.
Alone it is one process; under espnet2.bin.launch (or torchrun) it joins the others (DDP, or FSDP2 with --fsdp true).
If --output_dir holds checkpoints of this run, it goes on from the newest; of another run, it refuses.
SIGTERM and SIGUSR1 save a checkpoint and exit with status 99, which asks a queue to start the job again.
"""


TRAIN_LABELS = "packed labels, one folder per train set, in their order; several label sets: <name>=<folder> ..."


def make_parser() -> argparse.ArgumentParser:
    """The command line, without the keys of the config."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("ssl_train", description=DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--config", help="YAML file, conf/train_<objective>_<size>.yaml")
    parser.add_argument("--train_sets", default="", help="dump/<set>, or several separated by spaces")
    parser.add_argument("--valid_sets", default="", help="dump/<set>, or several")
    parser.add_argument("--train_labels", default="", help=TRAIN_LABELS)
    parser.add_argument("--valid_labels", default="", help="the same for the valid sets")
    parser.add_argument("--old_sets", default="", help="of the domain that --init_from comes from: never trained on")
    parser.add_argument("--old_labels", default="", help="labels of --old_sets; without them their probe alone")
    parser.add_argument("--output_dir", help="exp/<name>")
    parser.add_argument("--resume_script", help="becomes run.sh of --output_dir once the run is accepted (a recipe's)")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs per node (default: %(default)s, the CPU)")
    parser.add_argument("--profile", default="", metavar="N:M", help="profile updates N to M into --output_dir/profile")
    parser.add_argument("--print_config", action="store_true", help="print the resolved config and exit")
    parser.add_argument("--print_needs_labels", action="store_true", help="print true or false and exit")
    return parser


def main() -> int:
    """Entry point."""
    stop = StopSignals().install()  # first of all: a signal that comes while PyTorch loads is not lost
    words = sys.argv[1:]
    options, overrides = make_parser().parse_known_args(words)
    from espnet2.pretrain.architecture import load_training_config
    from espnet2.tasks.config import dump_config

    config = load_training_config(options.config, overrides)
    if options.print_config:
        print(dump_config(config), end="")
        return 0
    if options.print_needs_labels:
        from espnet2.tasks.build import needs_labels

        print(str(needs_labels(config)).lower())
        return 0
    for name in ("config", "train_sets", "valid_sets", "output_dir"):
        if not getattr(options, name):
            raise UserError(f"--{name} is required")
    from espnet2.train.profiling import ProfileWindow

    profile = ProfileWindow.parse(options.profile) if options.profile else None
    from espnet2.pretrain.inputs import DataPaths
    from espnet2.pretrain.reference import find_reference_file
    from espnet2.pretrain.session import train
    from espnet2.train.distributed import process_group
    from espnet2.train.reporter import write_resume_script
    from espnet2.train.run import locked_folder

    names = ("train_sets", "valid_sets", "train_labels", "valid_labels", "old_sets", "old_labels")
    paths = DataPaths(*(getattr(options, name).split() for name in names))
    output_dir = Path(options.output_dir)
    reference = find_reference_file(config.reference, options.config)
    with process_group(options.ngpu) as ranks, locked_folder(output_dir, ranks):

        def on_start() -> None:
            if options.resume_script and Path(options.resume_script).exists():
                os.replace(options.resume_script, output_dir / "run.sh")
            elif not (output_dir / "run.sh").exists():  # a recipe's also sets its environment up
                write_resume_script(output_dir, words, launcher(ranks.world_size, ranks.local_world_size))

        complete = train(
            config, paths, output_dir, ranks, stop, on_start=on_start, reference=reference, profile=profile
        )
    stop.ignore()
    return 0 if complete else REQUEUE_EXIT_CODE


def launcher(world_size: int, local_world_size: int) -> list[str]:
    """What starts this training again: python, or as many processes that work together."""
    if world_size == 1:
        return [sys.executable]
    nodes = ["--standalone"] if world_size == local_world_size else ["--nnodes", str(world_size // local_world_size)]
    return [sys.executable, "-m", "espnet2.bin.launch", *nodes, "--nproc_per_node", str(local_world_size)]


if __name__ == "__main__":
    run_main(main)
