"""A trained model and transcribed sets in, --output_dir with the model tuned by CTC, and its error rates, out."""

import argparse
import sys
from pathlib import Path

from espnet2.launch.signals import REQUEUE_EXIT_CODE, StopSignals
from espnet2.utils.errors import run_main

DESCRIPTION = """\
Fine-tune a whole model with CTC on dump/<set>/transcript. Any key of the config can be overridden:
--max_update 2000 --optim_conf lr=1e-4 --token_type bpe --nbpe 500 --freeze_encoder_updates 200.
Run again, it goes on from the newest checkpoint. The output layer learns alone first, then the encoder too; the layers
that make the features stay as they are. The best checkpoint on the valid sets is the result (--result last takes the
last). --decode beam --decode_conf lm=<n-gram model> also searches. Afterwards --output_dir/wer.json has the error rates
of the test sets, and the folder is a model like any other: SpeechEncoder.from_pretrained(<output_dir>), ssl_evaluate,
ssl_dump_features.
"""


def make_parser() -> argparse.ArgumentParser:
    """The command line, without the keys of the config."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("ssl_finetune", description=DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--model", required=True, help="exp/<name>, a packed model, hf:<user>/<name>, or a foreign one")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--config", help="YAML file of training keys; the defaults are wav2vec 2.0's")
    parser.add_argument("--train_sets", required=True, help="dump/<set> with transcript, or several in one word")
    parser.add_argument("--valid_sets", required=True, help="the best checkpoint is chosen on these")
    parser.add_argument("--test_sets", default="", help="the error rates are of these (default: of the valid sets)")
    parser.add_argument("--output_dir", type=Path, required=True, help="exp/<new name>")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs per node (default: %(default)s, the CPU)")
    return parser


def main() -> int:
    """Entry point."""
    stop = StopSignals().install()  # first of all: a signal that comes while PyTorch loads is not lost
    options, overrides = make_parser().parse_known_args(sys.argv[1:])
    from espnet2.finetune.config import load_finetune_config
    from espnet2.finetune.session import TuningRequest, finetune
    from espnet2.models.find import find_model
    from espnet2.text.ctc import require_jiwer
    from espnet2.train.distributed import process_group
    from espnet2.train.run import locked_folder

    require_jiwer()  # before anything is made
    config = load_finetune_config(options.config, overrides)
    request = TuningRequest(
        model=find_model(options.model, options.checkpoint),
        train_sets=options.train_sets.split(),
        valid_sets=options.valid_sets.split(),
        test_sets=options.test_sets.split(),
        output_dir=options.output_dir,
    )
    with process_group(options.ngpu) as ranks, locked_folder(Path(options.output_dir), ranks):
        complete = finetune(config, request, ranks, stop)
    stop.ignore()
    return 0 if complete else REQUEUE_EXIT_CODE


if __name__ == "__main__":
    run_main(main)
