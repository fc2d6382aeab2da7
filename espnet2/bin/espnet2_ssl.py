"""The installed toolkit as one command: recipes without a clone, and what is missing for what the user wants to do."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from espnet2.utils.errors import run_main
from espnet2.utils.recipe_tree import CLONE, is_clone, make_tree, unpack_archive

DESCRIPTION = """\
recipe  writes egs2/, utils/ and tools/ into a folder: recipes that run with the installed package, without a clone.
doctor  says what works here and what is missing, with the remedy; --to names what you want to do.
e.g.: espnet2-ssl recipe ~/ssl && cd ~/ssl/egs2/mini_espeak/hubert1 && ./run.sh
e.g.: espnet2-ssl doctor --to train export
"""


def diagnose(purposes: list[str]) -> int:
    """Run tools/check_install.py of the clone, or the one that the wheel carries; return its exit status."""
    if is_clone():
        return _check_install(CLONE, purposes)
    with tempfile.TemporaryDirectory() as folder:
        unpack_archive(Path(folder))
        return _check_install(Path(folder), purposes)


def _check_install(root: Path, purposes: list[str]) -> int:
    purpose_words = ["--to", *purposes] if purposes else []
    return subprocess.run([sys.executable, root / "tools/check_install.py", *purpose_words], check=False).returncode


def main() -> None:
    """Entry point."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("espnet2-ssl", description=DESCRIPTION, formatter_class=raw)
    actions = parser.add_subparsers(dest="action", required=True, metavar="recipe | doctor")
    recipe = actions.add_parser("recipe", help="recipes into a folder", description="Recipes into a folder.")
    recipe.add_argument("folder", type=Path, metavar="FOLDER", help="an empty folder, or one that is not there")
    doctor = actions.add_parser("doctor", help="what works here", description="What works here, and what is missing.")
    purposes = "train, demo, prepare, evaluate, export, share, submit or develop"
    doctor.add_argument("--to", nargs="+", default=[], metavar="PURPOSE", help=purposes)
    arguments = parser.parse_args()
    if arguments.action == "doctor":
        sys.exit(diagnose(arguments.to))
    num_corpora = make_tree(arguments.folder)
    print(
        f"{arguments.folder}: recipes of {num_corpora} corpora, run with {sys.executable}. Next:\n"
        f"  cd {arguments.folder}/egs2/mini_espeak/hubert1 && ./run.sh       # synthetic speech, nothing to download\n"
        f"  cd {arguments.folder} && egs2/TEMPLATE/ssl1/setup.sh egs2/my_corpus/ssl1    # a corpus of your own"
    )


if __name__ == "__main__":
    run_main(main)
