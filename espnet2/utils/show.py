"""How messages and tables show sizes, long lists of names and cells."""

from collections.abc import Iterable, Sequence

BAR = "\\|"  # in a cell of Markdown, where a bar alone ends it


def format_bytes(num_bytes: float) -> str:
    """A size on disk or in memory, in powers of 1000.

    >>> format_bytes(1_254_000_000), format_bytes(3_210_000)
    ('1.25 GB', '3.21 MB')
    """
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.2f} MB"


def first_names(names: Sequence[str], limit: int, *, separator: str = ", ") -> str:
    """The first names of a list, and how many more there are.

    >>> first_names(["a", "b", "c"], 2), first_names(["a", "b"], 2)
    ('a, b and 1 more', 'a, b')
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return separator.join(names[:limit]) + more


def table_row(cells: Iterable[object]) -> str:
    """A row of a Markdown table; a bar in a cell is escaped, it would end the cell.

    >>> print(table_row(["a|b", 1]))
    | a\\|b | 1 |
    """
    return f"| {' | '.join(str(cell).replace('|', BAR) for cell in cells)} |"
