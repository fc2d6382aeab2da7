"""The links of an Ogg file (Vorbis, Opus, FLAC, Speex): decoders stop after the first (RFC 3533)."""

from espnet2.data.audio.link import Bytes, Link
from espnet2.data.audio.views import Range

MARKER = b"OggS\0"
HEADER_BYTES = 27  # then a table of segment sizes
FIRST_PAGE = 2  # flag of a page that begins a stream


def is_ogg(head: bytes) -> bool:
    """Whether a file begins as Ogg does."""
    return head.startswith(MARKER)


def ogg_links(data: Bytes, whole: Range) -> tuple[Link, ...]:
    """The recordings of a file: a new one begins where streams begin after others had begun to give audio."""
    starts = [whole.start]
    at, in_audio, cut = whole.start, False, ""
    while at < whole.stop:
        head = data[at : at + HEADER_BYTES]
        if not head.startswith(MARKER):
            at = data.find(MARKER, at, whole.stop)
            if at < 0:
                break
            continue
        num_segments = head[26] if len(head) == HEADER_BYTES else 0
        table = data[at + HEADER_BYTES : at + HEADER_BYTES + num_segments]
        end = at + HEADER_BYTES + num_segments + sum(table)
        if len(head) < HEADER_BYTES or len(table) < num_segments or end > whole.stop:
            cut = "ends inside a page"
            break
        is_first = bool(head[5] & FIRST_PAGE)
        if is_first and in_audio:
            starts.append(at)
        in_audio = not is_first
        at = end
    stops = [*starts[1:], whole.stop]
    links = [Link((Range(start, stop),)) for start, stop in zip(starts, stops, strict=True)]
    if cut:
        links[-1] = Link(links[-1].parts, cut=cut)
    return tuple(links)
