"""What the parts of `augment:` have in common."""

from pydantic import model_validator

from espnet2.utils.config import Config

Range = tuple[float, float]  # drawn uniformly between the two
LISTS = ("factors", "names")  # two of them are no range


class Section(Config):
    """A part of `augment:`; every pair of numbers is (smallest, largest)."""

    @model_validator(mode="after")
    def _check_ranges(self) -> "Section":
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) == 2 and name not in LISTS and value[0] > value[1]:
                raise ValueError(f"{name} is {list(value)}: expected [smallest, largest]")
        return self
