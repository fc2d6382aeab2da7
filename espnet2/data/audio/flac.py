"""The length of a native FLAC file: what its header states, and what its last frame reaches (RFC 9639)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from espnet2.data.audio.link import Bytes, Link, plain
from espnet2.data.audio.views import Range, patched

MARKER = b"fLaC"
FIRST_BLOCK = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")  # the marker, then STREAMINFO of 34 bytes
STREAMINFO_END = 4 + 4 + 34
PACKED_AT = 4 + 4 + 10  # of 64 bits: rate 20, channels 3, bits per sample 5, samples 36
MAX_TOTAL = (1 << 36) - 1
SEARCHED = 1 << 16  # bytes at the end where the last frame begins, or twice the largest frame
MAX_HEADER = 16  # bytes of a frame's header
SYNC = re.compile(rb"\xff[\xf8\xf9]")
BLOCK_SIZES = {1: 192, **{code: 144 << code for code in range(2, 6)}, **{code: 1 << code for code in range(8, 16)}}


class Frame(NamedTuple):
    """The header of a frame."""

    at: int
    first_sample: int
    num_samples: int


def _crc_table(polynomial: int, width: int) -> list[int]:
    table = []
    for value in range(256):
        crc = value << (width - 8)
        for _ in range(8):
            crc = (crc << 1) ^ (polynomial if crc >> (width - 1) & 1 else 0)
        table.append(crc & ((1 << width) - 1))
    return table


CRC8, CRC16 = _crc_table(0x07, 8), _crc_table(0x8005, 16)  # RFC 9639, sections 9.1.8 and 9.3


def _crc8(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc = CRC8[crc ^ byte]
    return crc


def _crc16(content: bytes) -> int:
    crc = 0
    for byte in content:
        crc = (crc << 8 & 0xFF00) ^ CRC16[crc >> 8 ^ byte]
    return crc


def is_flac(head: bytes) -> bool:
    """Whether a file begins as FLAC does."""
    return FIRST_BLOCK.match(head) is not None


def flac_links(data: Bytes, whole: Range) -> tuple[Link, ...]:
    """The recordings of a file whose first bytes `is_flac` knows: one, or several after `cat a.flac b.flac`."""
    starts = [whole.start]
    at = data.find(MARKER, whole.start + STREAMINFO_END, whole.stop)
    while at >= 0:
        if is_flac(data[at : at + 8]):
            starts.append(at)
        at = data.find(MARKER, at + 1, whole.stop)
    stops = [*starts[1:], whole.stop]
    return tuple(link for start, stop in zip(starts, stops, strict=True) for link in _link(data, Range(start, stop)))


def _link(data: Bytes, whole: Range) -> tuple[Link, ...]:
    at = whole.start + PACKED_AT
    packed = int.from_bytes(data[at : at + 8], "big")
    stated = packed & MAX_TOTAL or None
    first = _audio_start(data, whole)
    last = None if first is None else _last_frame(data, Range(first, whole.stop))
    if first is None or last is None:
        return (Link((whole,), stated, 0, "without a frame"),) if stated else plain(whole)
    held = last.first_sample + last.num_samples
    if held == stated:
        return (Link((whole,), stated, held),)
    cut = ""
    if not _is_whole(data, Range(last.at, whole.stop)):
        held, cut = last.first_sample, "ends inside a frame"
    total = (packed - (stated or 0) + min(held, MAX_TOTAL)).to_bytes(8, "big")
    parts = patched(Range(whole.start, whole.stop if not cut else last.at), {at: total})
    return (Link(parts, stated, held, "" if stated and held < stated else cut),)


def _audio_start(data: Bytes, whole: Range) -> int | None:
    """Where the first frame is: after the blocks of metadata."""
    at, is_last = whole.start + len(MARKER), False
    while not is_last:
        header = data[at : at + 4]
        if len(header) < 4:
            return None
        is_last = header[0] >= 0x80
        at += 4 + int.from_bytes(header[1:], "big")
    return at if at < whole.stop else None


def _last_frame(data: Bytes, audio: Range) -> Frame | None:
    """The last frame whose header is sound and of the same kind as the first's."""
    model = data[audio.start : audio.start + 4]
    if not SYNC.match(model):
        return None
    block = _block_size(data, audio.start)
    size = SEARCHED
    while True:
        start = max(audio.start, audio.stop - size)
        places = [start + sync.start() for sync in SYNC.finditer(data[start : audio.stop])]
        for at in reversed(places):
            frame = _frame_at(data, at, model, block)
            if frame is not None:
                return frame
        if start == audio.start:
            return None
        size *= 16


def _block_size(data: Bytes, at: int) -> int:
    """Samples of the first frame: of all but the last where block sizes are fixed."""
    frame = _frame_at(data, at, data[at : at + 4], 0)
    return frame.num_samples if frame else 0


def _frame_at(data: Bytes, at: int, model: bytes, block: int) -> Frame | None:
    """The frame that begins at `at`, if its checksum says that one does (RFC 9639, section 9.1)."""
    head = data[at : at + MAX_HEADER]
    same_kind = head[1:2] == model[1:2] and len(head) > 5 and (head[2] ^ model[2]) & 0x0F == 0
    if not same_kind or (head[3] ^ model[3]) & 0x0F or head[3] >> 4 > 10:
        return None
    fields = iter(head[4:])
    try:
        number = _coded_number(fields)
        size_code, rate_code = head[2] >> 4, head[2] & 0x0F
        if size_code in (6, 7):
            count = int.from_bytes([next(fields) for _ in range(size_code - 5)], "big") + 1
        else:
            count = BLOCK_SIZES[size_code]
        for _ in range({12: 1, 13: 2, 14: 2}.get(rate_code, 0)):
            next(fields)
        checksum = next(fields)
    except (StopIteration, KeyError, ValueError):
        return None
    length = len(head) - len(bytes(fields))
    if _crc8(head[: length - 1]) != checksum:
        return None
    is_variable = head[1] & 1
    return Frame(at, number if is_variable else number * block, count)


def _coded_number(fields: Iterator[int]) -> int:
    """A number of up to 36 bits, written as UTF-8 writes characters."""
    first = next(fields)
    if first < 0x80:
        return first
    extra = next((count for count in range(1, 7) if first >> (6 - count) & 1 == 0), 0) if first >= 0xC0 else 0
    if not extra:
        raise ValueError("no first byte of a number")
    number = first & ((1 << (6 - extra)) - 1) if extra < 6 else 0
    for _ in range(extra):
        number = number << 6 | (next(fields) & 0x3F)
    return number


def _is_whole(data: Bytes, frame: Range) -> bool:
    """Whether the last frame is there to its checksum; zeros and tags may follow."""
    content = data[frame.start : frame.stop].rstrip(b"\0")
    tag = content.rfind(b"TAG")
    ends = {len(content), len(content) + 1, len(content) + 2, frame.stop - frame.start}
    if tag >= 0 and frame.stop - frame.start - tag == 128:
        ends.add(tag)
    return any(0 < end <= len(frame) and _crc16(data[frame.start : frame.start + end]) == 0 for end in ends)
