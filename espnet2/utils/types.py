"""A word of the command line -> a value: the `type=` of argparse that programs of ESPnet's recipes import."""

NOTHING = ("none", "null", "nil")  # how a user writes None, in any case
TRUE = ("y", "yes", "t", "true", "on", "1")
FALSE = ("n", "no", "f", "false", "off", "0")


def str2bool(value: str) -> bool:
    """Yes or no in one of the usual words.

    Raises:
        ValueError: another word; argparse makes a message of it.

    >>> str2bool("Yes"), str2bool("off")
    (True, False)
    """
    word = value.lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise ValueError(f"expected true or false, got '{value}'")


def _is_nothing(value: str) -> bool:
    return value.strip().lower() in NOTHING


def int_or_none(value: str) -> int | None:
    """A whole number, or None for "none".

    >>> int_or_none("456"), int_or_none("null")
    (456, None)
    """
    return None if _is_nothing(value) else int(value)


def float_or_none(value: str) -> float | None:
    """A number, or None for "none".

    >>> float_or_none("4.5"), float_or_none("None")
    (4.5, None)
    """
    return None if _is_nothing(value) else float(value)


def str_or_none(value: str) -> str | None:
    """The text, or None for "none".

    >>> str_or_none("a"), str_or_none("nil")
    ('a', None)
    """
    return None if _is_nothing(value) else value


def str_or_int(value: str) -> str | int:
    """A whole number where it is one, else the text.

    >>> str_or_int("3"), str_or_int("3a")
    (3, '3a')
    """
    try:
        return int(value)
    except ValueError:
        return value


UNITS = {"": 1, "b": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}


def humanfriendly_parse_size_or_none(value: str) -> int | None:
    """A size such as "10 GB" or "2GiB" in bytes, or None for "none".

    Raises:
        ValueError: no number, or an unknown unit.

    >>> humanfriendly_parse_size_or_none("1.5k"), humanfriendly_parse_size_or_none("2 GiB")
    (1500, 2147483648)
    """
    if _is_nothing(value):
        return None
    text = value.strip().lower()
    digits = len(text) - len(text.lstrip("0123456789."))
    number, unit = text[:digits], text[digits:].strip().removesuffix("bytes").removesuffix("byte").strip()
    binary = unit.endswith("ib")
    prefix = unit[:-2] if binary else unit.removesuffix("b") if unit != "b" else unit
    if not number or prefix not in UNITS:
        raise ValueError(f"expected a size such as 10G or 2GiB, got '{value}'")
    factor = UNITS[prefix]
    if binary:  # 1024 for each 1000
        factor = 1024 ** (len(str(factor)) // 3)
    return int(float(number) * factor)


def remove_parenthesis(value: str) -> str:
    """The text inside ( ) or [ ], which a list of a YAML file brings along.

    >>> remove_parenthesis(" [a, b] ")
    'a, b'
    """
    text = value.strip()
    return text[1:-1] if text[:1] + text[-1:] in ("()", "[]") and len(text) > 1 else text


def remove_quotes(value: str) -> str:
    """The text inside a pair of quotes.

    >>> remove_quotes(" 'a' ")
    'a'
    """
    text = value.strip()
    return text[1:-1] if text[:1] + text[-1:] in ("''", '""') and len(text) > 1 else text


def _parts(value: str, number: int) -> tuple[str, ...]:
    parts = tuple(remove_quotes(part) for part in remove_parenthesis(value).split(","))
    if len(parts) != number:
        raise ValueError(f"expected {number} values with commas between them, got '{value}'")
    return parts


def str2pair_str(value: str) -> tuple[str, ...]:
    """Two texts with a comma between them.

    >>> str2pair_str("abc,def ")
    ('abc', 'def')
    """
    return _parts(value, 2)


def str2triple_str(value: str) -> tuple[str, ...]:
    """Three texts with commas between them.

    >>> str2triple_str("abc,def ,ghi")
    ('abc', 'def', 'ghi')
    """
    return _parts(value, 3)
