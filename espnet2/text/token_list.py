"""A token list: one symbol a line, ids in its order; the special symbols are no classes."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_bytes

BLANK, UNKNOWN, START_END = "<blank>", "<unk>", "<sos/eos>"  # the three that ESPnet's lists hold
SPECIALS = frozenset((BLANK, UNKNOWN, START_END))


@dataclass(frozen=True)
class TokenList:
    """Symbols and their ids: the order of the list without the special symbols, counted from 0."""

    symbols: tuple[str, ...]  # without the special ones
    specials: tuple[str, ...] = ()  # those the file holds besides

    @property
    def num_classes(self) -> int:
        """How many symbols there are, without the special ones: the K of clusters."""
        return len(self.symbols)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Symbol -> id in 0..num_classes-1."""
        return {symbol: number for number, symbol in enumerate(self.symbols)}

    @property
    def is_identity(self) -> bool:
        """Whether the symbols are the numbers "0".."K-1" in order, so that ids are cluster numbers."""
        return all(symbol == str(number) for number, symbol in enumerate(self.symbols))

    @cached_property
    def hash(self) -> str:
        """Of the symbols in order: two label sets belong together if their lists have the same hash."""
        return hash_bytes(*self.symbols)

    def describe(self) -> str:
        """For messages, such as "500 symbols ('0', '1', '2' .. '499')"."""
        shown = ", ".join(repr(symbol) for symbol in self.symbols[:3])
        rest = f" .. {self.symbols[-1]!r}" if len(self.symbols) > 3 else ""
        return f"{self.num_classes} symbols ({shown}{rest})"


def identity_token_list(num_classes: int) -> TokenList:
    """The list of cluster numbers "0".."K-1"."""
    return TokenList(tuple(str(number) for number in range(num_classes)))


def read_token_list(path: str | Path) -> TokenList:
    """Read a list of one symbol a line, such as ESPnet's `tokens.txt`, with or without special symbols.

    Raises:
        UserError: the file is missing, empty or not UTF-8, or a line is empty, ends in CR LF, holds white space or
            appears twice.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise UserError(f"{path}: no such token list") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; expected a token list, such as {path}/tokens.txt") from None
    if lines[-1] == b"":
        lines.pop()
    first_line: dict[str, int] = {}
    for number, raw in enumerate(lines, 1):
        symbol = _check_line(raw, f"{path}:{number}")
        if symbol in first_line:
            raise UserError(f"{path}:{number}: '{symbol}' is also on line {first_line[symbol]}; each symbol has one id")
        first_line[symbol] = number
    symbols = tuple(symbol for symbol in first_line if symbol not in SPECIALS)
    if not symbols:
        raise UserError(f"{path}: no symbols; expected one a line, such as the numbers of the clusters")
    return TokenList(symbols, tuple(symbol for symbol in first_line if symbol in SPECIALS))


def _check_line(raw: bytes, where: str) -> str:
    if raw.endswith(b"\r"):
        file = where.rsplit(":", 1)[0]
        raise UserError(f"{where}: line ends in CR LF; convert the file: sed -i 's/\\r$//' {file}")
    try:
        symbol = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{where}: not UTF-8; convert the file with iconv") from None
    if not symbol:
        raise UserError(f"{where}: empty line; expected one symbol")
    if len(symbol.split()) != 1 or symbol != symbol.strip():
        raise UserError(f"{where}: {symbol!r} holds white space; expected one symbol a line and nothing else (no ids)")
    return symbol


def write_token_list(path: str | Path, symbols: Iterable[str], *, specials: bool = False) -> None:
    """Write a list atomically.

    Args:
        specials: put `<blank>`, `<unk>` before and `<sos/eos>` after, as ESPnet's recipes do for text; labels of
            clusters need none of them.
    """
    symbols = list(symbols)
    if specials:
        symbols = [BLANK, UNKNOWN, *(symbol for symbol in symbols if symbol not in SPECIALS), START_END]
    with atomic_write(path) as stream:
        stream.writelines(f"{symbol}\n" for symbol in symbols)
