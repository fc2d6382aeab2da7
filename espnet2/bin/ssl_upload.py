"""A packed folder and the name of a Hugging Face repository in, the folder uploaded out."""

import argparse
from pathlib import Path

from espnet2.utils.errors import run_main


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hf_repo", required=True, help="<user or organisation>/<name>; made if it is not there")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("folder", type=Path, help="what ssl_pack wrote")
    arguments = parser.parse_args()
    from espnet2.models.hub import upload_folder

    print(f"uploaded: {upload_folder(arguments.folder, arguments.hf_repo, private=arguments.private)}")


if __name__ == "__main__":
    run_main(main)
