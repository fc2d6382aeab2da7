"""What a config says about a teacher's decay in; update -> share of the teacher that stays, for one run, out."""

from dataclasses import dataclass

from espnet2.ssl.modules.ema import exponential_decay, linear_decay


@dataclass(frozen=True)
class TeacherSchedule:
    """First the teacher stays as it starts, then it moves as the schedule says, in the end it may stay again."""

    start: float  # share of the teacher that stays, at first
    end: float  # in the end; of no matter where it is exponential
    num_updates: int  # from the one to the other; where it is exponential the time constant
    is_exponential: bool = False
    fixed_updates: int = 0  # the first ones, in which the teacher does not move; the schedule begins behind them
    frozen_from: int | None = None  # update from which on the teacher does not move any more

    def decay(self, update: int) -> float:
        """Share of the teacher that stays in `update` (1-based); 1: it does not move.

        >>> schedule = TeacherSchedule(0.9, 0.99, 90, fixed_updates=10, frozen_from=200)
        >>> [round(schedule.decay(update), 3) for update in (10, 11, 55, 100, 199, 200)]
        [1.0, 0.901, 0.945, 0.99, 0.99, 1.0]
        """
        if update <= self.fixed_updates or (self.frozen_from is not None and update >= self.frozen_from):
            return 1.0
        moved = update - self.fixed_updates
        if self.is_exponential:
            return exponential_decay(moved, start=self.start, num_updates=self.num_updates)
        return linear_decay(moved, start=self.start, end=self.end, num_updates=self.num_updates)
