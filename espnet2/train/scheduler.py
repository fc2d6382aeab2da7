"""The schedules of the learning rate: pure functions of the optimizer step, nothing to save."""

import math
from abc import abstractmethod

from pydantic import Field

from espnet2.utils.config import Config
from espnet2.utils.errors import UserError


class ScheduleConfig(Config):
    """Base of all schedules."""

    total_steps: int | None = Field(None, gt=0, description="steps of the whole schedule (default: max_update)")

    @abstractmethod
    def factor(self, step: int, total_steps: int) -> float:
        """The factor on `lr` for optimizer step `step` (1-based); between 0 and 1."""


class Constant(ScheduleConfig):
    """The same rate throughout."""

    def factor(self, step: int, total_steps: int) -> float:
        return 1.0


class WarmupLR(ScheduleConfig):
    """Up linearly, then down with the square root of the step: ESPnet's `warmuplr` (Transformer paper, section 5.3)."""

    warmup_steps: int = Field(25_000, gt=0, description="steps up to `lr`")

    def factor(self, step: int, total_steps: int) -> float:
        return math.sqrt(self.warmup_steps) * min(math.pow(step, -0.5), step * math.pow(self.warmup_steps, -1.5))


class Linear(ScheduleConfig):
    """Up linearly over the first 8 %, then linearly to 0 (HuBERT paper, section 4.2).

    The step after the last one would have factor 0: a last step that moves nothing would be wasted.
    """

    warmup_steps: int | None = Field(None, ge=0, description="default: 8 % of all steps")
    final_factor: float = Field(0.0, ge=0, le=1, description="share of `lr` at the end")

    def factor(self, step: int, total_steps: int) -> float:
        warmup = _warmup(self.warmup_steps, total_steps)
        if step <= warmup:
            return step / warmup
        return 1.0 + (self.final_factor - 1.0) * _share(step - warmup, total_steps + 1 - warmup)


class Cosine(ScheduleConfig):
    """Up linearly, then half a cosine down to `final_factor` (SGDR, section 3, without restarts)."""

    warmup_steps: int | None = Field(None, ge=0, description="default: 8 % of all steps")
    final_factor: float = Field(0.0, ge=0, le=1, description="share of `lr` at the end")

    def factor(self, step: int, total_steps: int) -> float:
        warmup = _warmup(self.warmup_steps, total_steps)
        if step <= warmup:
            return step / warmup
        wave = 0.5 * (1.0 + math.cos(math.pi * _share(step - warmup, total_steps + 1 - warmup)))
        return self.final_factor + (1.0 - self.final_factor) * wave


class Tristage(ScheduleConfig):
    """Up linearly, hold, down exponentially (SpecAugment, section 4.2; phases as in wav2vec 2.0's fine-tuning)."""

    phase_ratio: tuple[float, float, float] = Field((0.1, 0.4, 0.5), description="shares of up, hold and down")
    initial_factor: float = Field(0.01, ge=0, le=1, description="share of `lr` at the start")
    final_factor: float = Field(0.05, gt=0, le=1, description="share of `lr` at the end")

    def factor(self, step: int, total_steps: int) -> float:
        up = self.phase_ratio[0] * total_steps
        hold = self.phase_ratio[1] * total_steps
        if step < up:
            return self.initial_factor + (1.0 - self.initial_factor) * step / up
        if step <= up + hold:
            return 1.0
        return math.pow(self.final_factor, _share(step - up - hold, self.phase_ratio[2] * total_steps))


SCHEDULES: dict[str, type[ScheduleConfig]] = {
    "constant": Constant,
    "warmuplr": WarmupLR,
    "linear": Linear,
    "cosine": Cosine,
    "tristage": Tristage,
}
DEFAULT_WARMUP_SHARE = 0.08  # 32,000 of 400,000 updates: HuBERT, section 4.2


def schedule_config(name: str) -> type[ScheduleConfig]:
    """The config class of a schedule; it computes the factor itself."""
    return SCHEDULES[name]


def schedule_steps(config: ScheduleConfig, max_update: int) -> int:
    """Steps the schedule spans.

    Raises:
        UserError: phases that do not add up, or a warm-up longer than the run.
    """
    total = config.total_steps or max_update
    if isinstance(config, Tristage) and abs(sum(config.phase_ratio) - 1.0) > 1e-6:
        raise UserError(f"scheduler_conf (tristage): phase_ratio {config.phase_ratio} must add up to 1")
    warmup = getattr(config, "warmup_steps", None)
    if not isinstance(config, WarmupLR) and warmup is not None and warmup >= total:
        raise UserError(f"scheduler_conf: warmup_steps {warmup} must be below the {total} steps of the schedule")
    return total


def _warmup(steps: int | None, total_steps: int) -> int:
    return round(DEFAULT_WARMUP_SHARE * total_steps) if steps is None else steps


def _share(done: float, whole: float) -> float:
    return min(1.0, done / whole) if whole > 0 else 1.0
