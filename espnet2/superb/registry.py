"""Names of tasks in, tasks out: superb/tasks/<name>.py holds the one class of that name."""

from collections.abc import Mapping, Sequence

from espnet2.superb.base import Task
from espnet2.superb.rules import Rules
from espnet2.utils.config import parse_config
from espnet2.utils.errors import UserError
from espnet2.utils.registry import part_class, part_names

PACKAGE = "espnet2.superb.tasks"
# The order of the leaderboard; what is not named comes behind, by name.
COLUMNS = ("pr", "ks", "ic", "sid", "er", "asr", "qbe", "sf", "asv", "sd")


def task_names() -> list[str]:
    """All tasks, in the order of the leaderboard."""
    names = part_names(PACKAGE)
    return [name for name in COLUMNS if name in names] + [name for name in names if name not in COLUMNS]


def find_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks of these names, in the order of the leaderboard.

    Raises:
        UserError: there is no such task, or none is named.
    """
    if not names:
        raise UserError(f"--tasks is empty; expected some of {', '.join(task_names())}")
    classes = {name: part_class(PACKAGE, name, Task, key="--tasks", kind="task") for name in names}
    return [classes[name]() for name in task_names() if name in classes]


def rules_of(task: Task, sections: Mapping[str, object], where: str) -> Rules:
    """The official rules of a task, changed by its section of a config.

    Raises:
        UserError: an unknown key, or a value of the wrong type.
    """
    values = sections.get(task.name) or {}
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: {task.name}: expected 'key: value' lines")
    return parse_config(task.rules_type, values, f"{where}: {task.name}")
