"""Where the configs of a recipe are: in its own conf/, or else in that of the template which its path.sh links to.

The same rule holds in scripts/common/configs.sh and in utils/cluster/config.py, which cannot import this file.
"""

from pathlib import Path


def find_in_recipe(path: str | Path) -> Path:
    """The file itself, or where <recipe>/conf/<name> is not there, conf/<name> of the recipe's template.

    Args:
        path: any path; only one below a folder conf/ beside a path.sh can have a file of the template behind it.

    Returns:
        A file that exists, or `path` as it is, so that a message names what the user typed.
    """
    path = Path(path)
    if path.is_file():
        return path
    for depth, name in enumerate(path.parts):
        setup = Path(*path.parts[:depth], "path.sh")
        if name == "conf" and setup.is_file():
            in_template = setup.resolve().parent.joinpath(*path.parts[depth:])
            if in_template.is_file():
                return in_template
    return path
