"""A SPHERE file (NIST) -> its header and samples; samples with a header of another format.

Plain PCM, mu-law and A-law are read here; shorten needs PyAV, which is imported where it is met.
"""

import array
import io
import struct
import sys

HEADER_BYTES = 1024
PCM, ULAW, ALAW = "pcm", "ulaw", "alaw"
RIFF_FORMATS = {PCM: 1, ALAW: 6, ULAW: 7}  # RIFF's format tags (RFC 2361)
AU_ENCODINGS = {(PCM, 1): 2, (PCM, 2): 3, (ULAW, 1): 1, (ALAW, 1): 27}  # of Sun's .au


class SphereError(Exception):
    """A file that cannot be read; the text says why."""


class Sphere:
    """Samples of a SPHERE file: `data` is little-endian, channels interleaved; `coding` is pcm, ulaw or alaw."""

    def __init__(self, coding, channels, rate, width, data):
        self.coding = coding
        self.channels = channels
        self.rate = rate
        self.width = width  # bytes of a sample
        self.data = data

    @property
    def frames(self):
        return len(self.data) // (self.width * self.channels)


def read_header(head):
    """The fields of a header, {name: text}, and the place where the samples begin."""
    if not head.startswith(b"NIST_1A\n"):
        raise SphereError("not a SPHERE file: it does not begin with NIST_1A")
    try:
        size = int(head[8:16])
    except ValueError:
        raise SphereError("not a SPHERE file: its header does not say how long it is") from None
    fields = {}
    for line in head[16:size].decode("latin-1").split("\n"):
        words = line.split(None, 2)
        if words[:1] == ["end_head"]:
            return fields, size
        if len(words) == 3:
            fields[words[0]] = words[2].strip()
    raise SphereError("the header has no end_head: the file is cut short")


def read(path):
    """Read a whole file."""
    with open(path, "rb") as stream:
        content = stream.read()
    fields, size = read_header(content)
    try:
        channels, rate = int(fields.get("channel_count", 1)), int(fields["sample_rate"])
        frames, width = int(fields.get("sample_count", -1)), int(fields.get("sample_n_bytes", 2))
    except (KeyError, ValueError) as error:
        raise SphereError(f"the header does not tell {error}") from None
    coding = fields.get("sample_coding", PCM if width == 2 else ULAW).lower()
    base, *compressed = coding.split(",")
    base = {"mu-law": ULAW, "pcm": PCM, "ulaw": ULAW, "alaw": ALAW}.get(base)
    if base is None or width not in (1, 2) or (base == PCM) != (width == 2):
        raise SphereError(f"sample_coding {coding} of {width} bytes: expected 16-bit pcm, ulaw or alaw")
    if compressed:
        data = decoded_shorten(content, compressed[0], base)
    else:
        data = content[size:]
        if width == 2 and fields.get("sample_byte_format", "01") == "10":
            swapped = array.array("h", data[: len(data) // 2 * 2])
            swapped.byteswap()
            data = swapped.tobytes()
    block = width * channels
    whole = len(data) // block * block if frames < 0 else min(len(data) // block, frames) * block
    if frames >= 0 and whole < frames * block:
        print(f"sph2pipe: warning: {path}: {frames} samples announced, {whole // block} there", file=sys.stderr)
    return Sphere(base, channels, rate, width, data[:whole])


def decoded_shorten(content, how, base):
    """The samples of a file that is compressed by shorten, by libavcodec."""
    if not how.startswith("embedded-shorten"):
        raise SphereError(f"samples compressed by {how} are not read")
    try:
        import av
    except ImportError:
        message = "compressed by shorten: pip install av (PyAV), or install the program sph2pipe"
        raise SphereError(message) from None
    if base != PCM:
        raise SphereError("mu-law compressed by shorten: install the program sph2pipe")
    try:
        with av.open(io.BytesIO(content), format="nistsphere") as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    except av.error.FFmpegError as error:
        raise SphereError(f"compressed by shorten, damaged: {error}") from None
    return b"".join(frame.T.astype("<i2").tobytes() for frame in frames)


def law_tables(coding):
    """Two tables of bytes: mu-law or A-law -> the low and high byte of a 16-bit sample (ITU-T G.711)."""
    low, high = bytearray(256), bytearray(256)
    for code in range(256):
        value = ulaw_value(code) if coding == ULAW else alaw_value(code)
        low[code], high[code] = value & 0xFF, value >> 8 & 0xFF
    return bytes(low), bytes(high)


def ulaw_value(code):
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def alaw_value(code):
    code ^= 0x55
    exponent, magnitude = code >> 4 & 7, (code & 0x0F) << 4
    magnitude = magnitude + 8 if exponent == 0 else magnitude + 0x108 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def to_pcm(sound):
    """The same samples in 16 bits."""
    if sound.coding == PCM:
        return sound
    low, high = law_tables(sound.coding)
    data = bytearray(2 * len(sound.data))
    data[0::2] = sound.data.translate(low)
    data[1::2] = sound.data.translate(high)
    return Sphere(PCM, sound.channels, sound.rate, 2, bytes(data))


def to_channel(sound, channel):
    """One channel, counted from 1."""
    if not 1 <= channel <= sound.channels:
        raise SphereError(f"channel {channel} of {sound.channels} was asked for")
    if sound.channels == 1:
        return sound
    kind = "h" if sound.width == 2 else "B"
    data = array.array(kind, sound.data)[channel - 1 :: sound.channels].tobytes()
    return Sphere(sound.coding, 1, sound.rate, sound.width, data)


def cut(sound, first, end):
    """The samples from first up to end."""
    block = sound.width * sound.channels
    return Sphere(sound.coding, sound.channels, sound.rate, sound.width, sound.data[first * block : end * block])


def riff_header(sound):
    """The header of a RIFF file."""
    block, size = sound.width * sound.channels, len(sound.data)
    form = struct.pack(
        "<HHIIHH", RIFF_FORMATS[sound.coding], sound.channels, sound.rate, sound.rate * block, block, 8 * sound.width
    )
    fact = b"" if sound.coding == PCM else struct.pack("<4sII", b"fact", 4, sound.frames)
    form += b"" if sound.coding == PCM else b"\0\0"  # no PCM: the size of what follows
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", len(form)) + form + fact + struct.pack("<4sI", b"data", size)
    return struct.pack("<4sI", b"RIFF", len(body) + size + size % 2) + body


def sphere_header(sound):
    """The header of a SPHERE file without compression."""
    lines = [
        "NIST_1A\n   1024",
        f"channel_count -i {sound.channels}",
        f"sample_count -i {sound.frames}",
        f"sample_rate -i {sound.rate}",
        f"sample_n_bytes -i {sound.width}",
        f"sample_byte_format -s{sound.width} {'01' if sound.width == 2 else '1'}",
        f"sample_sig_bits -i {8 * sound.width}",
        f"sample_coding -s{len(sound.coding)} {sound.coding}",
        "end_head\n",
    ]
    return "\n".join(lines).encode().ljust(HEADER_BYTES)


def written(sound, form):
    """The bytes of a file: form is wav, raw, sph or au."""
    padding = b"\0" * (len(sound.data) % 2)
    if form == "wav":
        return riff_header(sound) + sound.data + padding
    if form == "sph":
        return sphere_header(sound) + sound.data
    if form == "au":
        encoding = AU_ENCODINGS[sound.coding, sound.width]
        header = struct.pack(">4sIIIII", b".snd", 24, len(sound.data), encoding, sound.rate, sound.channels)
        data = array.array("h", sound.data) if sound.width == 2 else array.array("B", sound.data)
        data.byteswap()
        return header + data.tobytes()
    return sound.data
