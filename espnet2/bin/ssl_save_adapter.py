"""A model trained with `adapt: lora` in, its adapters alone as a small file that names its base by hash, out."""

import argparse
from pathlib import Path

from espnet2.utils.errors import UserError, run_main

KILOBYTE = 1 << 10


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="exp/<name>, trained with --adapt lora and --init_from")
    parser.add_argument("--checkpoint", default="latest", help="of exp/<name> (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="<name>.safetensors; --model takes it everywhere")
    arguments = parser.parse_args()
    from espnet2.models.adapter import save_adapter
    from espnet2.models.find import find_model

    if arguments.output.suffix != ".safetensors":
        raise UserError(f"--output {arguments.output}: expected a name that ends in .safetensors")
    size = save_adapter(find_model(arguments.model, arguments.checkpoint), arguments.output)
    print(f"{arguments.output}: {size / KILOBYTE:.0f} KiB; use it as a model: --model {arguments.output}[@<base>]")


if __name__ == "__main__":
    run_main(main)
