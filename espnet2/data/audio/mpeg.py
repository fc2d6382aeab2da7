"""The frames of an MPEG audio file (MP3), all counted: lengths by header or bit rate are estimates.

Sources: ISO/IEC 11172-3 and 13818-3 (frames); the Xing and VBRI headers as encoders and players agree on them.
"""

import re
from typing import NamedTuple

from espnet2.data.audio.link import Bytes, Link, plain
from espnet2.data.audio.views import Range

BIT_RATES = {  # kbit/s by (MPEG 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
RATES = (44100, 48000, 32000)  # Hz of MPEG 1; half of it in MPEG 2, a quarter in 2.5
SYNC = re.compile(rb"\xff[\xe2-\xff]")
SEARCHED = 1 << 20  # bytes before the first frame: pictures lie in tags, which are skipped
IN_A_ROW = 3  # frames of another kind that begin another recording, and are no accident among other bytes
Kind = tuple[int, int, int, bool]


class Header(NamedTuple):
    """A frame's header."""

    kind: Kind  # version, layer, index of the rate, one channel: the same in all frames of a recording
    num_bytes: int
    num_samples: int
    xing_at: int  # where a Xing header stands, if it is that frame


def _parse(word: bytes) -> Header | None:
    """The header in 4 bytes; None where there is none, or its length is not stated ("free format")."""
    if len(word) < 4 or word[0] != 0xFF or word[1] < 0xE0:
        return None
    version, layer = word[1] >> 3 & 3, 4 - (word[1] >> 1 & 3)
    index, rate_index, padding = word[2] >> 4, word[2] >> 2 & 3, word[2] >> 1 & 1
    if version == 1 or layer == 4 or index in (0, 15) or rate_index == 3 or word[3] & 3 == 2:
        return None
    is_first = version == 3
    rate = RATES[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    bits = BIT_RATES[is_first, layer][index] * 1000
    num_samples = 384 if layer == 1 else 1152 if layer == 2 or is_first else 576
    num_bytes = (12 * bits // rate + padding) * 4 if layer == 1 else num_samples // 8 * bits // rate + padding
    is_mono = word[3] >> 6 == 3
    side = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return Header((version, layer, rate_index, is_mono), num_bytes, num_samples, 4 + side)


def after_tags(data: Bytes, at: int) -> int:
    """Behind the ID3v2 tags at `at`: 10 bytes, with the size in four times 7 bits, and perhaps a footer."""
    while (head := data[at : at + 10])[:3] == b"ID3" and len(head) == 10 and max(head[6:10]) < 0x80:
        size = 0
        for byte in head[6:10]:
            size = size << 7 | byte
        at += 10 + size + (10 if head[5] & 0x10 else 0)
    return at


def first_frame(data: Bytes, whole: Range) -> int | None:
    """Where the first frame begins, if the range holds MPEG audio: two frames in a row, at its start or behind tags."""
    start = after_tags(data, whole.start)
    if start == whole.start and not SYNC.match(data[start : start + 2]):
        return None
    return _next_frame(data, start, min(whole.stop, start + SEARCHED), whole.stop, None)


def _next_frame(data: Bytes, start: int, until: int, stop: int, kind: Kind | None) -> int | None:
    """The next place, before `until`, where frames follow each other: two, or IN_A_ROW where they are not of `kind`."""
    for block_start in range(start, until, SEARCHED):
        block = data[block_start : min(until, block_start + SEARCHED) + 1]
        for sync in SYNC.finditer(block):
            at = block_start + sync.start()
            header = _parse(data[at : at + 4])
            if header is not None and _follow(data, at, stop, 2 if kind in (None, header.kind) else IN_A_ROW):
                return at
    return None


def _follow(data: Bytes, at: int, stop: int, count: int) -> bool:
    """Whether `count` frames of one kind follow each other; the file may end after at least one."""
    kind = None
    for number in range(count):
        header = _parse(data[at : at + 4]) if at + 4 <= stop else None
        if header is None or kind not in (None, header.kind):
            return number > 0 and at == stop
        kind, at = header.kind, at + header.num_bytes
    return True


def mpeg_links(data: Bytes, whole: Range, *, stated_bytes: int | None = None) -> tuple[Link, ...]:
    """All frames of a range, under a header that states their number; as it stands where it needs no other.

    Several links: another recording follows, as its own header says, or another rate or number of channels.

    Args:
        stated_bytes: of a WAV that holds MPEG audio.
    """
    start = first_frame(data, whole)
    if start is None:
        return plain(whole)
    links: list[Link] = []
    while start is not None:
        head = _parse(data[start : start + 4])
        assert head is not None  # a frame was found there
        stated, has_info = _stated_frames(data, start, head)
        runs, count, following = _runs(data, start, whole.stop, head.kind, stated)
        count -= has_info
        is_right = stated == count and len(runs) == 1
        if is_right and stated_bytes is None and not links and following is None:
            return (Link((whole,), count, count),)
        if has_info and not is_right:
            runs[0] = Range(runs[0].start + head.num_bytes, runs[0].stop)
        info = () if is_right else _xing_frame(data[start : start + 4], count)
        links.append(Link((*info, *runs), stated, count))
        start = following
    if stated_bytes is not None and stated_bytes > len(whole):
        links[-1] = Link(links[-1].parts, stated_bytes, len(whole))
    return tuple(links)


def _stated_frames(data: Bytes, start: int, head: Header) -> tuple[int | None, bool]:
    """What a Xing, Info or VBRI header in the first frame says, and whether there is one."""
    at = start + head.xing_at
    tag = data[at : at + 12]
    if tag[:4] in (b"Xing", b"Info"):
        has_count = len(tag) == 12 and tag[7] & 1
        return (int.from_bytes(tag[8:12], "big") if has_count else None), True
    at = start + 4 + 32
    if data[at : at + 4] == b"VBRI":
        return int.from_bytes(data[at + 14 : at + 18], "big"), True
    return None, False


def _runs(data: Bytes, start: int, stop: int, kind: Kind, stated: int | None) -> tuple[list[Range], int, int | None]:
    """Ranges of frames without anything between them, the number of whole frames, and where the next link begins."""
    known: dict[bytes, Header | None] = {}
    runs: list[Range] = []
    at = first = start
    count, following = 0, None
    while at + 4 <= stop:
        word = data[at : at + 4]
        header = known[word] if word in known else known.setdefault(word, _parse(word))
        if header is not None and header.kind == kind:
            if stated and count > stated and count <= stated + 2 and _stated_frames(data, at, header)[1]:
                return [*runs, Range(first, at)] if at > first else runs, count, at
            if at + header.num_bytes > stop:
                break  # the last frame is cut
            at += header.num_bytes
            count += 1
            continue
        runs.append(Range(first, at))
        following = _next_frame(data, at, stop, stop, kind)
        if following is None:
            return runs, count, None
        header = _parse(data[following : following + 4])
        if header is None or header.kind != kind:
            return runs, count, following
        at = first = following
    return [*runs, Range(first, at)], count, None


def _xing_frame(word: bytes, count: int) -> tuple[bytes, ...]:
    """A frame that only states how many follow: with a decoder that knows, the end is not an estimate."""
    for index in range(1, 15):
        candidate = bytes((word[0], word[1] | 1, index << 4 | word[2] & 0x0D, word[3]))  # no checksum, no padding
        header = _parse(candidate)
        if header is not None and header.num_bytes >= header.xing_at + 12:
            body = candidate + bytes(header.xing_at - 4) + b"Xing" + (1).to_bytes(4, "big") + count.to_bytes(4, "big")
            return (body.ljust(header.num_bytes, b"\0"),)
    return ()
