"""A file, or an entry of an ark, in; the recordings that it holds out, whatever its header says of their lengths."""

import re
from typing import Literal

from espnet2.data.audio.chunks import PLACE_HOLDERS, chunk_links, is_chunk_file
from espnet2.data.audio.flac import flac_links, is_flac
from espnet2.data.audio.link import Bytes, Link, plain
from espnet2.data.audio.mpeg import after_tags, first_frame, mpeg_links
from espnet2.data.audio.ogg import is_ogg, ogg_links
from espnet2.data.audio.views import Range, patched

HEAD_BYTES = 1024
SPHERE = b"NIST_1A\n"
SPHERE_FIELD = re.compile(rb"(sample_count|sample_n_bytes|channel_count) -(?:i|s\d+) (\d+)")
SPHERE_CODED = re.compile(rb"sample_coding -s\d+ \S*(?:shorten|wavpack|shortpack)")
AU = (b".snd", b"dns.")  # big and little endian
AU_UNKNOWN = 0xFFFFFFFF
RIFF_HEADER_BYTES = 44
# What stands behind an entry of an ark: nothing, or the key of the next and what audio begins with.
NEXT_ENTRY = re.compile(rb"\S+ (?:RIFF....WAVE|AUDIO|\0B)", re.DOTALL)
NEXT_RIFF = re.compile(rb"[!-~]+ (?:RIFF....WAVE|AUDIO[\x01-\x08])", re.DOTALL)
MAX_KEY_BYTES = 1000


def find_links(data: Bytes, whole: Range) -> tuple[Link, ...]:
    """The recordings in a range; one that a decoder reads as it stands where the format is not known here."""
    head = data[whole.start : min(whole.stop, whole.start + HEAD_BYTES)]
    if is_chunk_file(head):
        return chunk_links(data, whole)
    if is_flac(head):
        return flac_links(data, whole)
    if head[:3] == b"ID3" and is_flac(data[(start := after_tags(data, whole.start)) : start + HEAD_BYTES]):
        return flac_links(data, Range(start, whole.stop))
    if is_ogg(head):
        return ogg_links(data, whole)
    if head[:4] in AU:
        return _au_links(data, head, whole)
    if head.startswith(SPHERE):
        return _sphere_links(data, head, whole)
    if first_frame(data, whole) is not None:
        return mpeg_links(data, whole)
    return plain(whole)


def _au_links(data: Bytes, head: bytes, whole: Range) -> tuple[Link, ...]:
    """AU: the place of the samples, then their bytes, which a program that wrote into a pipe leaves open."""
    order: Literal["little", "big"] = "big" if head[:4] == AU[0] else "little"
    start, size = int.from_bytes(head[4:8], order), int.from_bytes(head[8:12], order)
    held = max(0, len(whole) - start)
    is_open = size == AU_UNKNOWN or any(size in places for places in PLACE_HOLDERS)
    following = whole.start + start + size
    if not is_open and following < whole.stop and data[following : following + 4] == head[:4]:
        first = Link((Range(whole.start, following),), size, size)
        return (first, *find_links(data, Range(following, whole.stop)))
    if is_open or size == held:
        return (Link((whole,), None if is_open else size, held),)
    return (Link(patched(whole, {whole.start + 8: AU_UNKNOWN.to_bytes(4, order)}), size, held),)


def _sphere_links(data: Bytes, head: bytes, whole: Range) -> tuple[Link, ...]:
    """NIST SPHERE: text of fixed size with the number of samples of each channel."""
    values = {name: int(value) for name, value in SPHERE_FIELD.findall(head)}
    count, width = values.get(b"sample_count"), values.get(b"sample_n_bytes", 2) * values.get(b"channel_count", 1)
    size = head[len(SPHERE) : 16].strip()
    if count is None or not width or not size.isdigit() or SPHERE_CODED.search(head):
        return plain(whole)
    following = whole.start + int(size) + count * width
    if following < whole.stop and data[following : following + len(SPHERE)] == SPHERE:
        first = Link((Range(whole.start, following),), count, count)
        return (first, *find_links(data, Range(following, whole.stop)))
    return (Link((whole,), count, max(0, len(whole) - int(size)) // width),)


def entry_range(data: Bytes, offset: int) -> Range:
    """The audio file embedded in an ark at `offset` (just after the key and its space).

    Two layouts exist: a plain RIFF file (Kaldi's wav.ark), and "AUDIO", the number of bytes of a length, that length
    (little-endian), and a file of any format (kaldiio's flac.ark).

    Raises:
        ValueError: neither layout is found there.
    """
    end = len(data)
    head = data[offset : offset + 8]
    if head[:4] == b"RIFF":
        stop = offset + 8 + int.from_bytes(head[4:], "little")
        if stop >= offset + RIFF_HEADER_BYTES and _is_entry_end(data, stop):
            return Range(offset, stop)
        return Range(offset, _next_entry(data, offset + 12))
    if head[:5] == b"AUDIO" and len(head) == 8:
        start = offset + 6 + head[5]
        length = int.from_bytes(data[offset + 6 : start], "little")
        if start + length > end:
            raise ValueError(f"the ark ends {start + length - end} bytes too early")
        return Range(start, start + length)
    raise ValueError(f"no audio at byte {offset} of the ark")


def _is_entry_end(data: Bytes, stop: int) -> bool:
    return stop == len(data) or NEXT_ENTRY.match(data[stop : stop + MAX_KEY_BYTES]) is not None


def _next_entry(data: Bytes, start: int) -> int:
    """Where the next entry's key begins; the end of the ark where there is none."""
    at = start
    while at < len(data):
        block = data[at : at + (1 << 20)]
        match = NEXT_RIFF.search(block)
        if match:
            return at + match.start()
        at += max(1, len(block) - MAX_KEY_BYTES)
        if len(block) < 1 << 20:
            break
    return len(data)
