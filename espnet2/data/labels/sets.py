"""Several label sets of one training by their names: words of a command line in, opened labels out."""

import re
from collections.abc import Collection, Mapping, Sequence

from espnet2.data.labels.joined import JoinedLabels, check_same_labels
from espnet2.utils.errors import UserError

UNNAMED = ""  # the set of a training that has only one, and gives it no name
SET_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
NAMED_FOLDER = re.compile(rf"({SET_NAME.pattern})=(.+)")

LabelSets = Mapping[str, JoinedLabels]  # by name; UNNAMED for the one that has none


def parse_label_sets(words: Sequence[str], option: str) -> dict[str, list[str]]:
    """The folders of every set, in the order of the words.

    Args:
        words: "<name>=<folder>", or folders alone where there is one set only.
        option: named in the error.

    Raises:
        UserError: folders with a name beside some without.

    >>> parse_label_sets(["km100=a/train", "km500=b/train", "km100=a/more"], "--train_labels")
    {'km100': ['a/train', 'a/more'], 'km500': ['b/train']}
    >>> parse_label_sets(["a/train", "a/more"], "--train_labels")
    {'': ['a/train', 'a/more']}
    """
    folders: dict[str, list[str]] = {}
    for word in words:
        named = NAMED_FOLDER.fullmatch(word)
        name, folder = (named[1], named[2]) if named else (UNNAMED, word)
        folders.setdefault(name, []).append(folder)
    if UNNAMED in folders and len(folders) > 1:
        raise UserError(
            f"{option}: {folders[UNNAMED][0]} has no name, but other label folders have; "
            "write <name>=<folder> for each, or no name at all for a single set"
        )
    return folders


def open_label_sets(
    train_words: Sequence[str], valid_words: Sequence[str], needed: Collection[str]
) -> tuple[dict[str, JoinedLabels], dict[str, JoinedLabels]]:
    """Open the labels that losses train on, of the train sets and of the valid sets; others are left aside.

    Args:
        train_words, valid_words: of `parse_label_sets`, one folder of each set for each data set.
        needed: names of the sets.

    Raises:
        UserError: a set that is needed is not given, or not for both; or as `JoinedLabels.open` and
            `check_same_labels`.
    """
    train, valid = (
        {name: JoinedLabels.open(_required(folders, name, option)) for name in needed}
        for folders, option in (
            (parse_label_sets(train_words, "--train_labels"), "--train_labels"),
            (parse_label_sets(valid_words, "--valid_labels"), "--valid_labels"),
        )
    )
    for name in needed:
        check_same_labels(train[name].parts[0], valid[name].parts[0])
    return train, valid


def _required(folders: Mapping[str, list[str]], name: str, option: str) -> list[str]:
    if name in folders:
        return folders[name]
    if name == UNNAMED:
        raise UserError(
            f"{option} gives the label sets {', '.join(folders)}, but a loss does not say on which of them it trains; "
            f"write it into the config, beside its name: labels: {next(iter(folders))}"
        )
    there = "one set without a name" if UNNAMED in folders else ", ".join(folders) or "none"
    raise UserError(
        f"a loss trains on the labels {name}, but {option} gives {there}; write {name}=<folder>, in a recipe "
        f'--pseudo_labels "{name}=<hubert1 recipe>"'
    )
