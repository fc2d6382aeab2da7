"""Validations of a run without reference curves in; lights against guessing and the start of the same run out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from espnet2.pretrain.reference import Light, light_of
from espnet2.ssl.chance import Chance
from espnet2.train.stall import LOST_SHARE, STALLED_SHARE, probed
from espnet2.train.state import Validation

FIRST_SPREAD = 0.03  # of the loss of the first validation: the spread that three runs of one config have at least
RULES = (
    f"Loss of a task beside that of guessing: green: at most {STALLED_SHARE:g} of it; yellow: below it; red: not. "
    f"Probe beside what it found before the first update: green: not lower; yellow: at least {LOST_SHARE:g} of it; "
    f"red: less. Loss beside that of the first validation, where the target stands still: green: at most "
    f"{100 * FIRST_SPREAD:g} % higher; yellow: at most twice that; red: more. What is not a number is red."
)


@dataclass(frozen=True)
class OwnRun:
    """What a run is compared with that no other run was kept for."""

    chances: Callable[[Mapping[str, float]], Sequence[Chance]]  # of the figures of a validation
    judged_from: int  # update; before it no loss is judged
    target_moves: bool  # then a higher loss is no worse

    def describe(self) -> str:
        """What the lights stand for, for the log."""
        return f"against guessing, from update {self.judged_from:,} on, and against the start of this run"

    def judge(self, validations: Sequence[Validation], initial: Mapping[str, float]) -> list[Light]:
        """The lights of all validations so far.

        Args:
            initial: what the probe found before the first update.
        """
        rows: list[Light] = []
        for validation in validations:
            rows += self._beside_guessing(validation)
            rows += _beside_initial(validation, initial)
            if validation is not validations[0] and not self.target_moves:
                rows.append(_beside_first(validation, validations[0]))
        return rows

    def _beside_guessing(self, validation: Validation) -> list[Light]:
        if validation.update < self.judged_from:
            return []
        rows = []
        for chance in self.chances(validation.valid):
            loss = validation.valid[chance.loss_name]
            light = "green" if loss <= STALLED_SHARE * chance.loss else "yellow" if loss < chance.loss else "red"
            spread = (1 - STALLED_SHARE) * chance.loss
            rows.append(Light(validation.update, chance.loss_name, loss, chance.loss, spread, light, "guessing"))
        return rows


def _beside_initial(validation: Validation, initial: Mapping[str, float]) -> list[Light]:
    rows = []
    for name in probed(initial, validation.valid):
        value, start = validation.valid[name], initial[name]
        light = "green" if value >= start else "yellow" if value >= LOST_SHARE * start else "red"
        spread = (1 - LOST_SHARE) * start
        rows.append(Light(validation.update, name, value, start, spread, light, "before the first update"))
    return rows


def _beside_first(validation: Validation, first: Validation) -> Light:
    loss, start = validation.valid["loss"], first.valid["loss"]
    spread = FIRST_SPREAD * abs(start)
    light = light_of(loss, start, spread, "lower")
    return Light(validation.update, "loss", loss, start, spread, light, f"at update {first.update}")
