"""A tar of WebDataset in, its utterances out: members of one name (up to the first dot) are one sample.

The names are WebDataset's: "<folder>/<key>.<extension>", samples one after the other. Nothing is unpacked.
"""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from espnet2.data.audio.opened import open_file
from espnet2.data.audio.store import read_ahead
from espnet2.importers.item import Fields, Item, header_at
from espnet2.utils.errors import UserError

AUDIO = ("flac", "wav", "mp3", "ogg", "opus", "oga", "aiff", "au", "caf")
NAME = re.compile(r"((?:.*/)?[^./][^/.]*)\.([^/]+)")
MAX_TEXT_BYTES = 1 << 24  # of a text or a JSON file beside the audio
BLOCK = tarfile.BLOCKSIZE
SEARCHED = 1 << 20  # bytes behind the end that are looked at together


@dataclass
class Sample:
    """The members of one name."""

    key: str
    members: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # extension -> name, first byte, size
    texts: dict[str, bytes] = field(default_factory=dict)  # extension -> contents of what is no audio


def read_tar(path: str, fields: Fields) -> Iterator[Item]:
    """The utterances of a shard; samples without audio are an error.

    Raises:
        UserError: the shard is missing, cut short or no tar, or a sample is not as expected.
    """
    for sample in tar_samples(path):
        audio = [extension for extension in sample.members if extension.rsplit(".", 1)[-1] in AUDIO]
        where = f"{path}, sample {sample.key}"
        if len(audio) != 1:
            raise UserError(
                f"{where}: {len(audio)} audio files among {', '.join(sorted(sample.members))}; "
                f"expected one of {', '.join(AUDIO)}, and the files of a sample one after the other"
            )
        name, start, size = sample.members[audio[0]]
        where = f"{path}, member {name}"
        entry = f"{path}:{start}+{size}"
        yield Item(
            sample.key,
            entry,
            header_at(entry, where),
            where,
            text=_value(sample, fields.text, where),
            speaker=_value(sample, fields.speaker, where),
            language=_value(sample, fields.language, where),
        )


def tar_samples(path: str, *, last_dot: bool = False) -> Iterator[Sample]:
    """Samples in the order of the tar.

    Args:
        last_dot: the key ends at the last dot, as lhotse writes it; WebDataset's ends at the first.

    Raises:
        UserError: the tar is missing, cut short, compressed or damaged.
    """
    current: Sample | None = None
    for name, start, size, text in _members(path):
        match = NAME.fullmatch(name)
        if match is None:
            continue
        key, extension = name.rsplit(".", 1) if last_dot else (match[1], match[2])
        if current is None or current.key != key:
            if current is not None:
                yield current
            current = Sample(key)
        extension = extension.lower()
        if extension in current.members:
            raise UserError(f"{path}: member {name} appears twice")
        current.members[extension] = (name, start, size)
        if text is not None:
            current.texts[extension] = text
    if current is not None:
        yield current


def _members(path: str) -> Iterator[tuple[str, int, int, bytes | None]]:
    """Name, first byte and size of every file of a tar, and the contents of small ones that are no audio."""
    fetched = 0
    try:
        with open_file(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.offset >= fetched:
                    fetched = read_ahead(path, member.offset)
                if not member.isfile() or member.issparse():
                    continue
                is_text = member.name.rsplit(".", 1)[-1].lower() not in AUDIO and member.size <= MAX_TEXT_BYTES
                reader = archive.extractfile(member) if is_text else None
                yield member.name, member.offset_data, member.size, reader.read() if reader is not None else None
            stream.seek(archive.offset)
            end = stream.read(BLOCK)
            if len(end) < BLOCK or any(end):
                raise UserError(f"{path}: cut short: the tar ends at byte {archive.offset + len(end):,} without a mark")
            while rest := stream.read(SEARCHED):
                if any(rest):
                    raise UserError(
                        f"{path}: more follows the end of the tar, at byte {archive.offset:,}: tars joined by cat? "
                        "Programs that read tars stop there; name the parts, or join them with tar --concatenate"
                    )
    except FileNotFoundError:
        raise UserError(f"{path}: no such shard") from None
    except (tarfile.TarError, EOFError) as error:
        raise UserError(
            f"{path}: cut short, or no plain tar ({error}); a compressed one has to be unpacked to a .tar: gunzip"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None


def _value(sample: Sample, name: str, where: str) -> str | None:
    """A field: the file with this extension, or this key of the sample's JSON."""
    if not name:
        return None
    if name in sample.texts:
        return _decoded(sample.texts[name], name, where).strip()
    if "json" in sample.texts:
        contents = _json(sample.texts["json"], where)
        if name in contents:
            return _plain(contents[name], name, where)
        raise UserError(f"{where}: its JSON has no '{name}'; it has: {', '.join(sorted(contents))}")
    raise UserError(f"{where}: no '.{name}' and no '.json' beside it; there are: {', '.join(sorted(sample.members))}")


def _plain(value: object, name: str, where: str) -> str | None:
    """A text or a number of a JSON; None of null."""
    if isinstance(value, dict | list):
        raise UserError(f"{where}: '{name}' of its JSON is {json.dumps(value)[:80]}; expected a text or a number")
    return None if value is None else str(value)


def _json(content: bytes, where: str) -> dict[str, object]:
    try:
        contents = json.loads(_decoded(content, "json", where))
    except ValueError as error:
        raise UserError(f"{where}: its JSON is damaged ({error})") from None
    if not isinstance(contents, dict):
        raise UserError(f"{where}: its JSON is no object")
    return contents


def _decoded(content: bytes, extension: str, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{where}: its .{extension} is not UTF-8") from None
