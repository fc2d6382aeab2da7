"""What another library's file says of a model in, its values by key and type out; one of another kind is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet2.utils.errors import UserError

SHOWN_CHARACTERS = 80  # of a value in a message


@dataclass(frozen=True)
class Settings:
    """The settings of a foreign model, as its file has them.

    >>> settings = Settings({"layers": 12, "dropout": "none", "audio": {"width": 7.0}}, "config.json")
    >>> settings.whole("layers"), settings.whole("heads", 8), settings.section("audio").whole("width")
    (12, 8, 7)
    >>> settings.number("dropout")
    Traceback (most recent call last):
    espnet2.utils.errors.UserError: config.json: dropout is none; expected a number
    """

    values: Mapping[str, object]
    where: str | Path  # for messages

    def get(self, key: str, default: object = None) -> object:
        """The value as it is in the file."""
        return self.values.get(key, default)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number, also one that is written as text or with a point.

        Raises:
            UserError: it is something else, or missing where there is no default.
        """
        number = self._as_number(key, default, "a whole number")
        if number != int(number):
            raise self.refusal(key, "a whole number")
        return int(number)

    def number(self, key: str, default: float | None = None) -> float:
        """A number.

        Raises:
            UserError: as `whole`.
        """
        return self._as_number(key, default, "a number")

    def _as_number(self, key: str, default: float | None, expected: str) -> float:
        value = self.get(key, default)
        try:
            number = float(value) if isinstance(value, int | float | str) else float("nan")
        except (ValueError, OverflowError):
            raise self.refusal(key, expected) from None
        if not abs(number) < float("inf"):
            raise self.refusal(key, expected)
        return number

    def flag(self, key: str, default: bool = False) -> bool:
        """Yes or no; what is neither counts by whether it is empty, as these libraries take it."""
        return bool(self.get(key, default))

    def text(self, key: str, default: str | None = None) -> str:
        """A text.

        Raises:
            UserError: as `whole`.
        """
        value = self.get(key, default)
        if not isinstance(value, str):
            raise self.refusal(key, "a text")
        return value

    def section(self, key: str) -> "Settings":
        """The settings below a key; none where it is missing or empty.

        Raises:
            UserError: there is something else.
        """
        value = self.get(key) or {}
        if not isinstance(value, Mapping):
            raise self.refusal(key, "'key: value' lines")
        return Settings(value, self.where)

    def conv_layers(self, key: str) -> list[tuple[int, int, int]]:
        """(channels, kernel, stride) of each convolution.

        Raises:
            UserError: there is something else.
        """
        value = self.get(key)
        layers = [tuple(layer) for layer in value if _is_layer(layer)] if isinstance(value, list | tuple) else []
        if not isinstance(value, list | tuple) or not layers or len(layers) != len(value):
            raise self.refusal(key, "[channels, kernel, stride] of each layer")
        return [(channels, kernel, stride) for channels, kernel, stride in layers]

    def refusal(self, key: str, expected: str) -> UserError:
        """The error about a value."""
        value = str(self.values[key])[:SHOWN_CHARACTERS] if key in self.values else "missing"
        return UserError(f"{self.where}: {key} is {value}; expected {expected}")


def _is_layer(shape: object) -> bool:
    if not isinstance(shape, list | tuple) or len(shape) != 3:
        return False
    return all(type(size) is int and size > 0 for size in shape)
