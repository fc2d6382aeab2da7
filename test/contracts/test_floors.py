"""The floors of the house: every import, lazy ones too, runs from a room to a room below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from repository import ROOT

# From the roof to the ground. Rooms of one floor do not know each other.
FLOORS = (
    {"bin"},
    {"superb"},
    {"evaluate"},
    {"publish", "pretrain", "finetune", "unit_lm"},
    {"units"},
    {"models"},
    {"formats"},
    {"tasks"},
    {"train"},
    {"ssl", "importers"},
    {"data"},
    {"launch", "text", "data_prep", "fileio"},
    {"utils"},
)
# Importing file -> imported module: a public name that stays where users look for it.
EXCEPTIONS = {"espnet2/ssl/__init__.py": "espnet2.publish.speech_encoder"}
MOST_OF_ALL_LINES = 0.2  # more than this in one room, and the room is a house of its own

LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import of the package: at the top, inside functions, for types only, by string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            if node.module == "espnet2":
                yield from ((node.lineno, f"espnet2.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("espnet2."):
            yield node.lineno, node.value


def upward_imports(path: str, source: str) -> list[str]:
    """The imports of one file that do not run down."""
    room = path.split("/")[1]
    wrong = []
    for line, module in imported_modules(source):
        parts = module.split(".")
        if parts[0] != "espnet2" or len(parts) < 2 or parts[1] == room or EXCEPTIONS.get(path) == module:
            continue
        if parts[1] not in LEVEL:
            wrong.append(f"{path}:{line}: {module}: no floor holds the room '{parts[1]}'")
        elif LEVEL[parts[1]] <= LEVEL[room]:
            wrong.append(f"{path}:{line}: {module}: '{parts[1]}' is not below '{room}'")
    return wrong


def package_files() -> list[Path]:
    """The modules inside rooms; espnet2/__init__.py is outside."""
    return sorted(path for path in (ROOT / "espnet2").rglob("*.py") if path.parent != ROOT / "espnet2")


def test_every_import_runs_down() -> None:
    wrong = [
        line
        for path in package_files()
        for line in upward_imports(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


def test_a_planted_upward_import_is_seen() -> None:
    planted = {
        "espnet2/data/index.py": "def late():\n    from espnet2.ssl.model import SSLModel\n",
        "espnet2/train/trainer.py": "import espnet2.evaluate.part\n",
        "espnet2/pretrain/session.py": "from espnet2.finetune.config import FinetuneConfig\n",  # beside, not below
        "espnet2/utils/files.py": "if TYPE_CHECKING:\n    from espnet2.data.batch import Batch\n",
        "espnet2/formats/forms.py": "NAME = 'espnet2.models.load'\n",
        "espnet2/tasks/build.py": "from espnet2.unknown import thing\n",
    }
    for path, source in planted.items():
        assert len(upward_imports(path, source)) == 1, path
    assert upward_imports("espnet2/ssl/model.py", "from espnet2.data.batch import Batch\n") == []


def test_no_room_is_a_house() -> None:
    lines = dict.fromkeys(LEVEL, 0)
    for path in package_files():
        lines[path.relative_to(ROOT).parts[1]] += len(path.read_text(encoding="utf-8").splitlines())
    total = sum(lines.values())
    large = {room: round(count / total, 3) for room, count in lines.items() if count > MOST_OF_ALL_LINES * total}
    assert not large, large
    assert min(lines.values()) > 0, lines
