"""A SpeechFlow model and utterances in; the utterances with a span filled by the model, as figures and audio, out."""

import argparse
import sys
from pathlib import Path

from espnet2.utils.device import device_name
from espnet2.utils.errors import run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="exp/<name> of a training with a speechflow loss")
    parser.add_argument("--tag", default="latest", help="checkpoint: latest, best_<stat>, update_<n> (%(default)s)")
    parser.add_argument("--dump_set", required=True, help="dump/<set> that the utterances are in")
    parser.add_argument("--utterances", nargs="*", default=[], help="their names; none: --num_utterances drawn ones")
    parser.add_argument("--num_utterances", type=int, default=4, help="drawn where none is named (%(default)s)")
    parser.add_argument("--output_dir", type=Path, required=True, help="gets <utterance>.png, .wav, samples.json")
    parser.add_argument("--span_start", type=float, help="second at which the hidden span begins; left out: drawn")
    parser.add_argument("--span_seconds", type=float, default=0.3, help="length of the hidden span (%(default)s)")
    parser.add_argument("--num_steps", type=int, default=16, help="of the midpoint method (%(default)s)")
    parser.add_argument("--guidance", type=float, default=0.0, help="classifier-free guidance (%(default)s: none)")
    parser.add_argument("--num_seeds", type=int, default=4, help="samples per utterance (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of spans, noise and phases (%(default)s)")
    parser.add_argument("--no_audio", action="store_true", help="figures and statistics only")
    parser.add_argument("--griffin_lim_iterations", type=int, default=64, help="(%(default)s)")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda (%(default)s)")
    arguments = parser.parse_args()

    from espnet2.evaluate.flow.report import SampleRequest, sample_utterances
    from espnet2.models.find import find_model

    request = SampleRequest(
        model=find_model(arguments.model, arguments.tag),
        dump_set=arguments.dump_set,
        utterances=tuple(arguments.utterances),
        num_utterances=arguments.num_utterances,
        output_dir=arguments.output_dir,
        span_start=arguments.span_start,
        span_seconds=arguments.span_seconds,
        num_steps=arguments.num_steps,
        guidance=arguments.guidance,
        num_seeds=arguments.num_seeds,
        seed=arguments.seed,
        audio=not arguments.no_audio,
        griffin_lim_iterations=arguments.griffin_lim_iterations,
        device=arguments.device,
    )
    print(sample_utterances(request, report=lambda line: print(line, file=sys.stderr, flush=True)), end="")


if __name__ == "__main__":
    run_main(main)
