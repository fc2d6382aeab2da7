"""Where the samples of a chunk file (RIFF, RF64, W64, AIFF, CAF) are, whatever the sizes in its headers say.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0"; EBU Tech 3306 (RF64); Apple's
"Audio Interchange File Format 1.3" and "Core Audio Format Specification 1.0"; Sony's Wave64 (Vegas).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from espnet2.data.audio.link import Bytes, Link, plain
from espnet2.data.audio.mpeg import mpeg_links
from espnet2.data.audio.views import Part, Range, patched

# Data sizes from here to 4 GB are the place-holders of programs that wrote into a pipe (sox: 0x7FFFF000, FFmpeg:
# 0xFFFFFFFF); 0 is that of programs that died.
PLACE_HOLDERS = range(0x7FFF0000, 0x80000000), range(0xFFFF0000, 0x100000000)
WRAP = 1 << 32  # sizes of 32 bits that counted on begin at 0 again
# Chunks that programs put behind the samples; a file may end inside one.
KNOWN = (b"LIST", b"list", b"id3 ", b"ID3 ", b"bext", b"iXML", b"axml", b"_PMX", b"cue ", b"smpl", b"inst", b"fact",
         b"PEAK", b"JUNK", b"junk", b"FLLR", b"PAD ", b"DISP", b"afsp", b"plst", b"MARK", b"INST", b"COMT", b"NAME",
         b"AUTH", b"(c) ", b"ANNO", b"APPL", b"COMM", b"info", b"free")  # fmt: skip
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")  # of MP3 players, behind the samples of any file
MAX_PADDING = 1 << 16  # zeros up to a disk's block
W64_START = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
W64_DATA = b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True)
class Layout:
    """How a kind of file writes its chunks."""

    data: bytes  # id of the samples
    first: int  # where the first chunk is
    id_bytes: int = 4
    size_bytes: int = 4
    byteorder: Literal["little", "big"] = "little"
    own_header: bool = False  # sizes count the chunk's own header
    align: int = 2
    before_samples: int = 0  # bytes of the data chunk before its first sample


RIFF = Layout(b"data", 12)
LAYOUTS = {
    b"RIFF": RIFF,
    b"RF64": RIFF,
    b"BW64": RIFF,
    b"RIFX": Layout(b"data", 12, byteorder="big"),
    b"FORM": Layout(b"SSND", 12, byteorder="big", before_samples=8),
    b"caff": Layout(b"data", 8, size_bytes=8, byteorder="big", align=1, before_samples=4),
    b"riff": Layout(W64_DATA, 40, id_bytes=16, size_bytes=8, own_header=True, align=8),
}
PACKETS_AS_LONG = (b"lpcm", b"ulaw", b"alaw")  # CAF codecs whose bytes are time; others have a table of packets
FORMS = {
    b"RIFF": (b"WAVE",),
    b"RIFX": (b"WAVE",),
    b"RF64": (b"WAVE",),
    b"BW64": (b"WAVE",),
    b"FORM": (b"AIFF", b"AIFC"),
}
MPEG_TAGS = (0x50, 0x55)  # WAVE_FORMAT_MPEG and WAVE_FORMAT_MPEGLAYER3


class Chunk(NamedTuple):
    """One chunk."""

    id: bytes
    size_at: int  # where its size stands
    start: int  # of its contents
    size: int  # of its contents, as stated


def is_chunk_file(head: bytes) -> bool:
    """Whether the first 12 bytes are those of a file that `chunk_links` understands."""
    return head[:4] in LAYOUTS and (head[:4] not in FORMS or head[8:12] in FORMS[head[:4]])


def _chunk_at(data: Bytes, layout: Layout, at: int) -> Chunk:
    size_at = at + layout.id_bytes
    start = size_at + layout.size_bytes
    size = int.from_bytes(data[size_at:start], layout.byteorder)
    return Chunk(data[at:size_at], size_at, start, size - (start - at) if layout.own_header else size)


def _after(layout: Layout, chunk: Chunk, origin: int) -> int:
    """Where the next chunk is: chunks start at even places of their file (multiples of 8 in W64)."""
    end = chunk.start + chunk.size
    return end + (origin - end) % layout.align


def _before_data(data: Bytes, layout: Layout, whole: Range) -> Iterator[Chunk]:
    """The chunks up to that of the samples, which is the last; nothing more where the chain is broken."""
    at = whole.start + layout.first
    while at + layout.id_bytes + layout.size_bytes <= whole.stop:
        chunk = _chunk_at(data, layout, at)
        yield chunk
        if chunk.id == layout.data or chunk.size < 0:
            return
        at = _after(layout, chunk, whole.start)


def _is_boundary(data: Bytes, layout: Layout, at: int, whole: Range) -> bool:
    """Whether samples can end at `at`: the file does, or what follows are chunks, tags, or zeros up to a block."""
    padded = at + (whole.start - at) % layout.align
    if at == whole.stop or padded >= whole.stop > at:
        return True
    if at > whole.stop:
        return False
    if _is_tag_or_padding(data, at, whole.stop):
        return True
    at = padded
    while at + layout.id_bytes + layout.size_bytes <= whole.stop:
        if data[at : at + 4] in KNOWN or _is_next_file(data, at):
            return True
        chunk = _chunk_at(data, layout, at)
        if not all(0x20 <= byte < 0x7F for byte in chunk.id[:4]) or chunk.size < 0:
            return False
        if chunk.start + chunk.size == whole.stop:
            return True
        at = _after(layout, chunk, whole.start)
    return at >= whole.stop and at - whole.stop < layout.align


def _is_tag_or_padding(data: Bytes, at: int, stop: int) -> bool:
    if data[at : at + 16].startswith(TAGS):
        return True
    return stop - at <= MAX_PADDING and not any(data[at:stop])


def _is_next_file(data: Bytes, at: int) -> bool:
    """`cat a.wav b.wav`."""
    head = data[at : at + 24]
    return is_chunk_file(head) and (head[:4] in FORMS or head[:8] == b"caff\0\1\0\0" or head[:16] == W64_START)


def chunk_links(data: Bytes, whole: Range) -> tuple[Link, ...]:
    """The recordings of a file whose first bytes `is_chunk_file` knows; a broken chain is left to the decoder."""
    magic = data[whole.start : whole.start + 4]
    layout = LAYOUTS[magic]
    chunks = list(_before_data(data, layout, whole))
    if not chunks or chunks[-1].id != layout.data or chunks[-1].start > whole.stop:
        return plain(whole)
    samples = chunks[-1]
    if magic == b"caff" and data[chunks[0].start + 8 : chunks[0].start + 12] not in PACKETS_AS_LONG:
        return plain(whole)
    stated = _stated(data, magic, chunks, samples)
    held = _held(data, layout, samples, stated, whole)
    rest = _next_file(data, samples.start + held, whole)
    links = _links(data, magic, chunks, stated, held, Range(whole.start, rest or whole.stop))
    return links if rest is None else (*links, *chunk_links(data, Range(rest, whole.stop)))


def _stated(data: Bytes, magic: bytes, chunks: list[Chunk], samples: Chunk) -> int | None:
    """Bytes of the data chunk; None where the header leaves them open."""
    size = samples.size
    if magic in (b"RF64", b"BW64") and size == WRAP - 1 and chunks[0].id == b"ds64":
        size = int.from_bytes(data[chunks[0].start + 8 : chunks[0].start + 16], "little")
        return None if size >= 1 << 63 else size
    if magic == b"caff":
        return None if size >= 1 << 63 else size
    if magic == b"riff":
        return None if size < 0 or size >= 1 << 62 else size
    return None if any(size in places for places in PLACE_HOLDERS) else size


def _held(data: Bytes, layout: Layout, samples: Chunk, stated: int | None, whole: Range) -> int:
    """Bytes of the data chunk that are there."""
    present = whole.stop - samples.start
    if stated is None:
        return present
    for size in range(stated, present + 1, WRAP):
        if _is_boundary(data, layout, samples.start + size, whole):
            return size
    return present


def _next_file(data: Bytes, end: int, whole: Range) -> int | None:
    for at in (end, end + (whole.start - end) % 2, end + (whole.start - end) % 8):
        if at < whole.stop and _is_next_file(data, at):
            return at
    return None


def _links(
    data: Bytes, magic: bytes, chunks: list[Chunk], stated: int | None, held: int, whole: Range
) -> tuple[Link, ...]:
    layout, samples = LAYOUTS[magic], chunks[-1]
    if magic == b"RIFF":
        kind = next((data[chunk.start : chunk.start + 2] for chunk in chunks if chunk.id == b"fmt "), b"")
        if int.from_bytes(kind, "little") in MPEG_TAGS:
            return mpeg_links(data, Range(samples.start, samples.start + held), stated_bytes=stated or 0)
    end = samples.start + held
    reads_on = magic == b"riff" and end < whole.stop  # libsndfile takes all that follows for samples
    if held == stated and not reads_on:
        return (Link((whole,), stated, held),)
    parts: tuple[Part, ...]
    if magic == b"RIFF" and held + samples.start - whole.start >= WRAP - 8:
        parts = _as_rf64(chunks, held, whole)
    else:
        parts = patched(Range(whole.start, end), _patches(data, magic, layout, chunks, held, whole))
    return (Link(parts, stated, held),)


def _patches(
    data: Bytes, magic: bytes, layout: Layout, chunks: list[Chunk], held: int, whole: Range
) -> dict[int, bytes]:
    """Where in the header which bytes have to stand for the samples that are there."""
    samples = chunks[-1]
    total = samples.start + held - whole.start  # of the file
    if magic in (b"RF64", b"BW64"):
        patches = {whole.start: b"RF64"}
        if chunks[0].id == b"ds64":
            at = chunks[0].start
            return {**patches, at: (total - 8).to_bytes(8, "little") + held.to_bytes(8, "little"),
                samples.size_at: b"\xff" * 4}  # fmt: skip
        return {samples.size_at: min(held, WRAP - 1).to_bytes(4, "little")}
    if magic == b"caff":
        return {samples.size_at: held.to_bytes(8, "big")}
    if magic == b"riff":
        header = samples.start - (samples.size_at - layout.id_bytes)
        return {whole.start + 16: total.to_bytes(8, "little"), samples.size_at: (held + header).to_bytes(8, "little")}
    size = (min(number, WRAP - 1).to_bytes(4, layout.byteorder) for number in (total - 8, held))
    patches = {whole.start + 4: next(size), samples.size_at: next(size)}
    return {**patches, **_aiff_frames(data, chunks, held)} if magic == b"FORM" else patches


def _aiff_frames(data: Bytes, chunks: list[Chunk], held: int) -> dict[int, bytes]:
    """COMM states the number of sample frames: channels (2 bytes), frames (4), bits (2), rate (10), in AIFC a codec."""
    common = next((chunk for chunk in chunks if chunk.id == b"COMM"), None)
    if common is None:
        return {}
    fields = data[common.start : common.start + 22]
    channels, bits = int.from_bytes(fields[:2], "big"), int.from_bytes(fields[6:8], "big")
    codec = fields[18:22] if common.size > 18 else b"NONE"
    width = channels * -(-bits // 8)
    if codec not in (b"NONE", b"twos", b"sowt", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32") or not width:
        return {}
    frames = max(0, held - LAYOUTS[b"FORM"].before_samples) // width
    return {common.start + 2: min(frames, WRAP - 1).to_bytes(4, "big")}


def _as_rf64(chunks: list[Chunk], held: int, whole: Range) -> tuple[Part, ...]:
    """A WAV of more than 4 GB under the header that can say so."""
    samples = chunks[-1]
    between = Range(whole.start + RIFF.first, samples.size_at)
    end = samples.start + held
    sizes = (end - whole.start + 28).to_bytes(8, "little") + held.to_bytes(8, "little") + bytes(12)
    head = b"RF64" + b"\xff" * 4 + b"WAVE" + b"ds64" + len(sizes).to_bytes(4, "little") + sizes
    return (head, between, b"\xff" * 4, Range(samples.start, end))
