"""The recipes that a wheel carries -> a tree with egs2, utils and tools that runs with the installed package."""

import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import espnet2
from espnet2.utils.errors import UserError

ARCHIVE = Path(espnet2.__file__).parent / "recipes.tar.gz"  # setup.py makes it; a clone has the tree itself
CLONE = Path(espnet2.__file__).resolve().parent.parent
PYTHON_FILE = ".installed_python"  # path.sh takes the Python that this file of the tree names
VERSION_FILE = ".recipes_version"


def is_clone() -> bool:
    """Tell whether this package lies in a clone, which has its recipes beside it."""
    return (CLONE / "egs2/TEMPLATE").is_dir() and (CLONE / "setup.py").is_file()


def unpack_archive(folder: Path) -> None:
    """Unpack all that the wheel carries.

    Raises:
        UserError: the package was built without recipes, or the archive is damaged.
    """
    try:
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(folder, filter="data")
    except FileNotFoundError as error:
        remedy = "install the wheel that `make dist` builds, or clone the repository"
        raise UserError(f"{ARCHIVE} is missing: {remedy}") from error
    except (tarfile.TarError, EOFError) as error:
        remedy = "pip install --force-reinstall --no-deps espnet2-ssl"
        raise UserError(f"{ARCHIVE} is damaged ({error}); remedy: {remedy}") from error


def make_tree(folder: Path) -> int:
    """Write the tree into a folder that is empty or not there; return the number of corpora with a recipe.

    The tree is made beside the folder and then renamed, so that an interruption leaves nothing half-written.

    Raises:
        UserError: the folder has contents, or lies where nothing can be written.
    """
    if is_clone():
        raise UserError(f"this package runs from a clone: its recipes are in {CLONE / 'egs2'}")
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UserError(f"{folder} exists and is not an empty folder; nothing was changed")
    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror}; remedy: a folder that you may write to") from error
    try:
        unpack_archive(new)
        # A link, so that everything which finds the toolkit beside its recipes does so here, too.
        (new / "espnet2").symlink_to(Path(espnet2.__file__).resolve().parent)
        (new / PYTHON_FILE).write_text(f"{sys.executable}\n", encoding="utf-8")
        (new / VERSION_FILE).write_text(f"{espnet2.__version__}\n", encoding="utf-8")
        new.chmod(0o755)  # mkdtemp's folders are private
        os.replace(new, folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return len({path.parent.parent for path in (folder / "egs2").glob("*/*/run.sh")})
