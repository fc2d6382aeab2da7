"""The guard against a collapsing training: each kind of warning once in a while."""

import re
from collections.abc import Mapping

from espnet2.ssl.model import SSLModel
from espnet2.train.meter import entry_prefix

SILENT_INTERVALS = 10  # a kind of warning is repeated after so many lines of the log


class CollapseWatch:
    """Asks the objectives whether their figures look like a collapse."""

    def __init__(self, model: SSLModel) -> None:
        self.model = model
        self.interval = 0
        self.told_at: dict[str, int] = {}  # kind of warning -> interval

    def look(self, figures: Mapping[str, float], update: int) -> list[str]:
        """What to tell the user now.

        Args:
            figures: of the last interval, by the names of the log.
            update: the last of the interval.
        """
        self.interval += 1
        warnings = []
        for entry, objective in self.model.entries():
            prefix = entry_prefix(self.model, entry)
            entry_figures = {
                name.removeprefix(prefix): value for name, value in figures.items() if name.startswith(prefix)
            }
            warnings += [f"loss ({entry}): {text}" for text in objective.warnings(entry_figures, update)]
        return [f"update {update}: {text}" for text in warnings if self._is_news(text)]

    def _is_news(self, text: str) -> bool:
        kind = re.sub(r"[\d.]+", "#", text)  # the same sentence with other numbers is the same kind
        told_at = self.told_at.get(kind)
        if told_at is not None and self.interval - told_at < SILENT_INTERVALS:
            return False
        self.told_at[kind] = self.interval
        return True
