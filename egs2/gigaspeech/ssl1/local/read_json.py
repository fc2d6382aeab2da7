"""GigaSpeech.json in, its recordings one by one out: the file has gigabytes and is never held whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet2.utils.errors import UserError
from espnet2.utils.progress import Progress

BLOCK_CHARACTERS = 1 << 20
LONGEST_ELEMENT = 1 << 28  # characters; a day of segments has 2 million, so what is longer is a damaged file
START = re.compile(r'"audios"\s*:\s*\[')
BETWEEN = re.compile(r"[\s,]*")


def iterate_audios(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the elements of the top-level list "audios"; memory holds one of them and the block it came in.

    (Own code: the standard decoder, fed block by block, is faster than streaming libraries, and one
    dependency less.)

    Raises:
        UserError: no such file, no such list, or the file is cut short or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    decoder = json.JSONDecoder()
    progress = Progress(f"bytes of {path.name}", path.stat().st_size)
    with open(path, encoding="utf-8") as stream:
        buffer, position = _find_list(stream, path), 0
        while True:
            position = BETWEEN.match(buffer, position).end()
            if buffer.startswith("]", position):
                return
            try:
                value, end = decoder.raw_decode(buffer, position)
            except json.JSONDecodeError as error:
                block = stream.read(max(BLOCK_CHARACTERS, len(buffer) - position))  # doubled: linear time
                if not block or len(buffer) - position > LONGEST_ELEMENT:
                    raise UserError(f"{path}: ends early or is damaged ({error.msg}); fetch it again") from None
                progress.add(len(block))
                buffer, position = buffer[position:] + block, 0
                continue
            if not isinstance(value, dict):
                raise UserError(f'{path}: an element of "audios" is no object; expected GigaSpeech.json')
            position = end
            yield value


def _find_list(stream, path: Path) -> str:
    """What follows the opening bracket of "audios" in the first blocks."""
    buffer = ""
    while block := stream.read(BLOCK_CHARACTERS):
        buffer += block
        if start := START.search(buffer):
            return buffer[start.end() :]
    raise UserError(f'{path}: no list "audios" in it; expected GigaSpeech.json')
