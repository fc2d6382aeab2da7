"""The guard against trainings that go wrong: every kind of warning once."""

import re
from collections.abc import Iterable, Mapping

from espnet2.ssl.model import SSLModel
from espnet2.train.meter import entry_prefix, without_prefix
from espnet2.train.stall import StallWatch, describe_lost


class TrainingWatch:
    """Asks the objectives whether their figures look like a collapse, the stall watch whether anything is learned."""

    def __init__(self, model: SSLModel, stalls: StallWatch | None = None) -> None:
        self.model, self.stalls = model, stalls
        self.told: set[str] = set()  # kinds of warnings

    def look(self, figures: Mapping[str, float], update: int) -> list[str]:
        """What to tell the user of an interval of training.

        Args:
            figures: of the last interval, by the names of the log.
            update: the last of the interval.
        """
        texts = []
        for entry, objective in self.model.entries():
            entry_figures = without_prefix(figures, entry_prefix(self.model, entry))
            texts += [f"loss ({entry}): {text}" for text in objective.warnings(entry_figures, update)]
        if self.stalls is not None:
            texts += self.stalls.look(figures, update)
        return self._news(texts, update)

    def look_at_probe(self, initial: Mapping[str, float], figures: Mapping[str, float], update: int) -> list[str]:
        """What to tell the user of a validation.

        Args:
            initial: figures of the probe before the first update; empty where they are not known.
            figures: of the valid set, those of the probe among them.
        """
        return self._news(describe_lost(initial, figures), update)

    def _news(self, texts: Iterable[str], update: int) -> list[str]:
        """The texts whose kind has not been told: the same sentence with other numbers is the same kind."""
        news = []
        for text in texts:
            kind = re.sub(r"[\d.]+", "#", text)
            if kind not in self.told:
                self.told.add(kind)
                news.append(f"update {update}: {text}")
        return news
