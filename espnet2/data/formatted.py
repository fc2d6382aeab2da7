"""format.json of a folder with formatted audio: what all of its audio has in common, checked when it is read."""

from dataclasses import dataclass
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import require_json

NAME = "format.json"
REMEDY = "run stages 3 and 4 again"


@dataclass(frozen=True)
class Formatted:
    """What stage 3 says of a set."""

    sample_rate: int  # Hz
    root: str | None  # what relative paths in wav.scp start from, relative to the folder; None in a set made by hand
    contents: dict[str, object]  # all of the file, for a folder that is made of this one


def read_format(folder: Path) -> Formatted:
    """Of dump/org/<set> or dump/<set>.

    Raises:
        UserError: the file is missing or damaged, or holds no rate; the message says which stage to run.
    """
    path = folder / NAME
    contents = require_json(path, REMEDY)
    rate, root = contents.get("sample_rate"), contents.get("root")
    if not isinstance(rate, int) or isinstance(rate, bool) or rate <= 0:
        raise UserError(f"{path}: damaged: sample_rate is {rate!r}, expected a whole number of Hz: {REMEDY}")
    if root is not None and not isinstance(root, str):
        raise UserError(f"{path}: damaged: root is {root!r}, expected a path: {REMEDY}")
    return Formatted(rate, root, contents)
