"""A trained model in, a small folder with half-precision weights and its config, to be committed or sent, out."""

import argparse

from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="exp/<name>, or a folder of its checkpoints")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--output", required=True, help="folder that gets model.safetensors and config.yaml")
    parser.add_argument("--dtype", default="fp16", choices=["fp16", "fp32"], help="of the stored weights (%(default)s)")
    parser.add_argument("--with_teacher", action="store_true", help="keep what only training and DinoSR's codes need")
    parser.add_argument("--max_megabytes", type=float, default=3.0, help="MiB; larger is refused (%(default)s)")
    arguments = parser.parse_args()
    from espnet2.models.find import find_model
    from espnet2.models.load import load_model
    from espnet2.publish.pack import MEGABYTE, pack_model

    size = pack_model(
        load_model(find_model(arguments.model, arguments.checkpoint)),
        arguments.output,
        dtype=arguments.dtype,
        with_teacher=arguments.with_teacher,
        max_megabytes=arguments.max_megabytes,
    )
    print(f"{arguments.output}: {size / MEGABYTE:.2f} MiB")


if __name__ == "__main__":
    run_main(main)
