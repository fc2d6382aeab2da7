"""The check that the files of a packed folder are those that its card lists."""

import json
from collections.abc import Iterable
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file

CARD = "card.json"  # of a packed folder: `ssl_pack` writes it last
REMEDY = "fetch the archive again, or pack the model again"


def check_all_files(folder: Path, archive: Path) -> None:
    """Compare a folder that was just unpacked with its card: every file, and no other.

    Raises:
        UserError: there is no card, it is damaged, or the files are others than were packed.
    """
    listed = _listed(folder, archive)
    if listed is None:
        raise UserError(f"{archive}: no {CARD} with a list of files in it: not what ssl_pack wrote, or damaged")
    _compare(folder, listed, listed, archive)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    more = sorted(there - listed.keys() - {CARD})
    if more:
        raise UserError(f"{archive}: {more[0]} is not among the files that {CARD} lists; {REMEDY}")


def check_known_files(folder: Path, names: Iterable[str] | None = None, *, archive: Path | None = None) -> None:
    """Compare files of a folder with its card; one without a card is somebody's own and passes.

    Args:
        names: those to compare; None for all that the card lists.
        archive: where the folder was unpacked from, for messages.

    Raises:
        UserError: the card is damaged, or a file has other contents than were packed.
    """
    listed = _listed(folder, archive or folder)
    if listed is not None:
        _compare(folder, listed, listed if names is None else names, archive or folder)


def _compare(folder: Path, listed: dict[str, str], names: Iterable[str], where: Path) -> None:
    for name in names:
        path = folder / name
        if name not in listed:
            raise UserError(f"{where}: {name} is not among the files that {CARD} lists; {REMEDY}")
        if not path.is_file() or hash_file(path) != listed[name]:
            raise UserError(f"{where}: {name} is missing, or not what was packed; {REMEDY}")


def _listed(folder: Path, where: Path) -> dict[str, str] | None:
    """Name -> hash of the files; None without a card, or with one of somebody else's making."""
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{where}: {CARD} is damaged ({error}); {REMEDY}") from None
    if isinstance(card, dict) and card and not {"files", "format_version"} & card.keys():
        return None
    files = card.get("files") if isinstance(card, dict) else None
    if not isinstance(files, dict) or not files or not all(isinstance(file_hash, str) for file_hash in files.values()):
        raise UserError(f"{where}: {CARD} lists no files; {REMEDY}")
    return files
