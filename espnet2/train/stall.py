"""Figures of a training in, warnings out: it stands where guessing stands, its loss rises, or its units got worse.

The watch knows no objective: each says itself what guessing gives (`Objective.chance`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from espnet2.data.labels.statistics import LabelStatistics
from espnet2.ssl.chance import Chance
from espnet2.ssl.model import SSLModel
from espnet2.train.meter import entry_prefix, without_prefix
from espnet2.train.scheduler import ScheduleConfig

# Shares measured on the eight mini configs, over three corpora: see doc/training_quality.md, "The stall watch".
PEAK_UPDATES = 150.0  # a run is judged once it has taken as much as so many updates at its highest learning rate
STALLED_SHARE = 0.985  # of the loss of guessing
GUESSED_ACCURACY = 1.25  # times the accuracy of guessing: less is the same
NEARLY_STALLED_SHARE = 0.95  # of the loss of guessing: a stall where the accuracy is that of guessing, too
RISEN_SHARE = 1.2  # of the lowest loss so far, where the target stands still
RISEN_MOVING_SHARE = 1.6  # where the target moves: healthy teachers make it harder
CURES = "lower optim_conf lr (a third of it has cured a stall), warm up longer, or lower grad_clip"
LOST_SHARE = 0.6  # of what the probe found in the model before its first update
LOST_RANK_SHARE = 0.3  # of the dimensions that the frames of the layer had then
RANK = "probe_rank"
PROBED = ("probe_pnmi", "probe_mfcc_information")
LEAST_PROBED = 0.05  # below it the units said nothing to begin with: noise cannot get worse


def judged_from(schedule: ScheduleConfig, total_steps: int) -> int:
    """The update from which a run is judged: during a warm-up all models stand where guessing stands.

    A run that is too short is not judged: the update lies behind its end.

    Args:
        total_steps: of the whole schedule.

    >>> from espnet2.train.scheduler import Constant, Linear
    >>> judged_from(Constant(), 1000), judged_from(Linear(), 3500), judged_from(Linear(), 400000)
    (150, 290, 3098)
    """
    taken = 0.0
    for step in range(1, total_steps + 1):
        taken += schedule.factor(step, total_steps)
        if taken >= PEAK_UPDATES:
            return step
    return total_steps + 1


@dataclass
class StallWatch:
    """Looks at one interval of the log after the other, and at the probe."""

    model: SSLModel
    labels: Mapping[str, LabelStatistics]  # loss entry -> the labels that it is trained on
    judged_from: int  # update
    lowest: float = math.inf  # loss of the intervals so far

    @property
    def target_moves(self) -> bool:
        """Whether a teacher is the target of any loss entry: then a higher loss is no worse."""
        return any(objective.target_moves for _, objective in self.model.entries())

    def chances(self, figures: Mapping[str, float]) -> list[Chance]:
        """What guessing gives, by the names of the log.

        Args:
            figures: by the names of the log; of train or of valid.
        """
        chances: list[Chance] = []
        for entry, objective in self.model.entries():
            prefix = entry_prefix(self.model, entry)
            tasks = objective.chance(without_prefix(figures, prefix), self.labels.get(entry))
            chances += [task.with_prefix(prefix) for task in tasks]
        return chances

    def look(self, figures: Mapping[str, float], update: int) -> list[str]:
        """What is wrong with an interval of training; nothing before `judged_from`."""
        if update < self.judged_from:
            return []
        stalled = [describe_stall(chance, figures) for chance in self.chances(figures) if is_stalled(chance, figures)]
        return stalled + [text for text in [self._rise(figures)] if text]

    def _rise(self, figures: Mapping[str, float]) -> str:
        """The loss against the lowest of the intervals before; "" where it has not risen."""
        loss, lowest = figures["loss"], self.lowest
        self.lowest = min(loss, lowest)
        share = RISEN_MOVING_SHARE if self.target_moves else RISEN_SHARE
        if loss <= share * lowest or lowest <= 0:
            return ""
        return (
            f"the loss rose from {lowest:.3f}, its lowest, to {loss:.3f}, more than {share:g} times as much: the "
            f"training diverges; {CURES}, from a checkpoint before the rise"
        )


def is_stalled(chance: Chance, figures: Mapping[str, float]) -> bool:
    """Whether a task is done no better than by guessing.

    Where guessing is known exactly the loss says so, or nearly the loss and the accuracy; where it is an estimate,
    both.
    """
    loss, accuracy = figures[chance.loss_name], figures.get(chance.accuracy_name, 0.0)
    guessed = accuracy < GUESSED_ACCURACY * chance.accuracy if chance.accuracy else True
    if loss > STALLED_SHARE * chance.loss:
        return guessed or not chance.is_estimate
    exact = bool(chance.accuracy) and not chance.is_estimate
    return exact and guessed and loss > NEARLY_STALLED_SHARE * chance.loss


def describe_stall(chance: Chance, figures: Mapping[str, float]) -> str:
    """The figures beside those of guessing, and what to do."""
    loss = figures[chance.loss_name]
    text = f"{chance.loss_name} is {loss:.3f}, and guessing gives {chance.loss:.3f} ({chance.meaning})"
    if chance.accuracy_name in figures:
        accuracy, unmasked = figures[chance.accuracy_name], chance.accuracy_name.replace("masked", "unmasked")
        text += f"; {chance.accuracy_name} is {100 * accuracy:.1f} %"
        if chance.accuracy:
            text += f", guessing gives {100 * chance.accuracy:.1f} % ({chance.accuracy_meaning})"
        if unmasked != chance.accuracy_name and unmasked in figures:
            text += f"; {unmasked} is {100 * figures[unmasked]:.1f} %"
    return f"{text}: the training stalls, the model has learned next to nothing; {CURES}, and start anew"


def probed(initial: Mapping[str, float], figures: Mapping[str, float]) -> list[str]:
    """The figures of the probe that can be compared with those before the first update."""
    return [name for name in PROBED if initial.get(name, 0.0) >= LEAST_PROBED and name in figures]


def describe_lost(initial: Mapping[str, float], figures: Mapping[str, float]) -> list[str]:
    """What the probe says less than it said before the first update.

    Args:
        initial: what the probe found then; empty where it is not known.
        figures: of a validation.
    """
    warnings = [
        f"{name} is {figures[name]:.3f}, and was {initial[name]:.3f} before the first update: the units of the layer "
        f"have become far worse than those of the untrained model; {CURES}, and start anew"
        for name in probed(initial, figures)
        if figures[name] < LOST_SHARE * initial[name]
    ]
    if RANK in initial and RANK in figures and figures[RANK] < LOST_RANK_SHARE * initial[RANK]:
        warnings.append(
            f"{RANK} is {figures[RANK]:.1f}, and was {initial[RANK]:.1f} before the first update: the frames of the "
            f"layer lie in few dimensions; {CURES}, and start anew"
        )
    return warnings
