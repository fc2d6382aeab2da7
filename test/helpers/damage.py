"""A whole file and a seed in, the file damaged in one of many ways out: what disks, editors and scripts do."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Operator = Callable[[bytes, random.Random], bytes | None]  # None: this damage does not apply to that file
NUMBER_WORDS = ("nan", "inf", "-1", "1e999", "99999999999999999999", "0x10", "", "1.5.2")


def empty(data: bytes, chance: random.Random) -> bytes:
    """Of a full disk."""
    return b""


def cut(data: bytes, chance: random.Random) -> bytes:
    """Of a copy that was stopped."""
    return data[: chance.randrange(1, max(2, len(data) - 1))]


def other_bytes(data: bytes, chance: random.Random) -> bytes:
    """Of a wrong name: something else altogether."""
    return chance.randbytes(300)


def web_page(data: bytes, chance: random.Random) -> bytes:
    """Of a download that failed with status 200."""
    return b"<!DOCTYPE html>\n<html><head><title>Not found</title></head></html>\n"


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """Of a crash of the machine: the length is right, the head is zeros."""
    return bytes(min(len(data), 512)) + data[512:]


def _lines(data: bytes) -> list[bytes] | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    lines = data.splitlines(keepends=True)
    return lines if lines and b"\0" not in data else None


def line_gone(data: bytes, chance: random.Random) -> bytes | None:
    lines = _lines(data)
    if lines is None or len(lines) < 2:
        return None
    del lines[chance.randrange(len(lines))]
    return b"".join(lines)


def line_twice(data: bytes, chance: random.Random) -> bytes | None:
    lines = _lines(data)
    if lines is None:
        return None
    number = chance.randrange(len(lines))
    return b"".join([*lines[: number + 1], *lines[number:]])


def words_swapped(data: bytes, chance: random.Random) -> bytes | None:
    """Of a wrong column."""
    lines = _lines(data)
    numbers = [number for number, line in enumerate(lines or []) if len(line.split()) >= 2]
    if not lines or not numbers:
        return None
    number = chance.choice(numbers)
    words = lines[number].split()
    lines[number] = b" ".join([words[1], words[0], *words[2:]]) + b"\n"
    return b"".join(lines)


def word_gone(data: bytes, chance: random.Random) -> bytes | None:
    lines = _lines(data)
    numbers = [number for number, line in enumerate(lines or []) if len(line.split()) >= 2]
    if not lines or not numbers:
        return None
    number = chance.choice(numbers)
    words = lines[number].split()
    del words[chance.randrange(len(words))]
    lines[number] = b" ".join(words) + b"\n"
    return b"".join(lines)


def odd_number(data: bytes, chance: random.Random) -> bytes | None:
    """A number becomes one that no reader expects."""
    lines = _lines(data)
    if lines is None:
        return None
    places = [
        (row, column)
        for row, line in enumerate(lines)
        for column, word in enumerate(line.split())
        if word.strip(b',:{}[]"').replace(b".", b"", 1).replace(b"-", b"", 1).isdigit()
    ]
    if not places:
        return None
    row, column = chance.choice(places)
    words = lines[row].split()
    core = words[column].strip(b',:{}[]"')
    words[column] = words[column].replace(core, chance.choice(NUMBER_WORDS).encode(), 1)
    lines[row] = b" ".join(words) + b"\n"
    return b"".join(lines)


def not_utf8(data: bytes, chance: random.Random) -> bytes | None:
    lines = _lines(data)
    if lines is None:
        return None
    number = chance.randrange(len(lines))
    lines[number] = b"\xff\xfe\xe4" + lines[number]
    return b"".join(lines)


def null_bytes(data: bytes, chance: random.Random) -> bytes | None:
    lines = _lines(data)
    if lines is None:
        return None
    lines[chance.randrange(len(lines))] = bytes(8) + b"\n"
    return b"".join(lines)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def json_key_gone(data: bytes, chance: random.Random) -> bytes | None:
    value = _json(data)
    if not isinstance(value, dict) or not value:
        return None
    del value[chance.choice(sorted(value))]
    return json.dumps(value).encode()


def json_other_type(data: bytes, chance: random.Random) -> bytes | None:
    value = _json(data)
    if not isinstance(value, dict) or not value:
        return None
    value[chance.choice(sorted(value))] = chance.choice([None, [], {"a": 1}, "text", -1, 1e999, True])
    return json.dumps(value).encode()


def json_no_object(data: bytes, chance: random.Random) -> bytes | None:
    return chance.choice([b"[]", b"null", b"3", b'"x"']) if _json(data) is not None else None


def last_bytes_flipped(data: bytes, chance: random.Random) -> bytes | None:
    """Of a bad disk; only of files that carry a checksum, where it has to be seen."""
    position = chance.randrange(max(0, len(data) - 64), len(data)) if data else 0
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :] if data else None


ANY_FILE: dict[str, Operator] = {
    "empty": empty, "cut": cut, "other bytes": other_bytes, "a web page": web_page, "zeroed": zeroed,
}  # fmt: skip
TEXT: dict[str, Operator] = {
    "a line is gone": line_gone, "a line stands twice": line_twice, "words are swapped": words_swapped,
    "a word is gone": word_gone, "an odd number": odd_number, "not UTF-8": not_utf8, "null bytes": null_bytes,
}  # fmt: skip
JSON: dict[str, Operator] = {
    "a key is gone": json_key_gone, "another type": json_other_type, "no object": json_no_object,
}  # fmt: skip
OPERATORS = {**ANY_FILE, **TEXT, **JSON}


def damaged(path: Path, operator: str, seed: int) -> bytes | None:
    """The contents after one damage; None where it does not apply, or changes nothing."""
    data = path.read_bytes()
    contents = OPERATORS[operator](data, random.Random(f"{path.name} {operator} {seed}"))
    return None if contents == data else contents
