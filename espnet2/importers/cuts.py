"""Manifests of lhotse (cuts or recordings, and Shar folders) in, their utterances out. Nothing is copied.

Supervisions become transcript, speaker and language; an alignment becomes phones.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from espnet2.data.audio.entry import is_in_store
from espnet2.data.format.as_is import UNKNOWN, Header
from espnet2.data_prep.tables import Phone
from espnet2.importers.item import Fields, Item, header_at
from espnet2.importers.shard_list import SHAR_CUTS
from espnet2.importers.tar_shard import AUDIO, Sample, tar_samples
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

if TYPE_CHECKING:
    from lhotse import MonoCut, Recording

DURATION_TOLERANCE = 0.0005  # seconds, half a millisecond: `segments` has three decimals


def read_cuts(path: str, fields: Fields) -> Iterator[Item]:
    """The utterances of a manifest; their lengths are those that it says.

    Raises:
        UserError: it is damaged, of another kind, or a cut is not one recording's, as it lies.
    """
    for number, cut in enumerate(_manifest(path), 1):
        where = f"{path}, number {number} ({cut.id})"
        recording, start, end = _recording_of(cut, where)
        entry = _audio_of(recording, where)
        header = Header(recording.num_samples, recording.sampling_rate, recording.num_channels, UNKNOWN, UNKNOWN)
        whole = start <= 0 and abs(end - recording.duration) < DURATION_TOLERANCE
        span = (None, None) if whole else (start, end)
        item = Item(str(cut.id), entry, header, where, start_seconds=span[0], end_seconds=span[1])
        yield _supervised(item, cut, fields)


def read_shar(path: str, fields: Fields) -> Iterator[Item]:
    """The utterances of one cuts.<number>.jsonl.gz, whose audio lies in recording.<number>.tar beside it.

    Raises:
        UserError: the tar is missing or cut short, or does not hold the audio of these cuts in their order.
    """
    folder, name = os.path.split(path)
    match = SHAR_CUTS.fullmatch(name)
    assert match is not None, path
    tar = os.path.join(folder, f"recording.{match[1]}.tar")
    for cut, sample in zip_longest(_manifest(path), tar_samples(tar, last_dot=True)):
        if cut is None or sample is None or str(cut.id) != sample.key:
            has = "the end" if sample is None else f"'{sample.key}'"
            raise UserError(f"{tar}: has {has} where {name} has {'the end' if cut is None else repr(str(cut.id))}")
        where = f"{tar}, cut {cut.id}"
        entry = _member(tar, sample, where)
        yield _supervised(Item(str(cut.id), entry, header_at(entry, where), where), cut, fields)


def _manifest(path: str) -> "Iterator[MonoCut | Recording]":
    with needs(f"{path}: manifests of lhotse need lhotse; install it: pip install lhotse"):
        from lhotse import load_manifest_lazy
    try:
        yield from load_manifest_lazy(path) or ()
    except (ValueError, KeyError, TypeError, EOFError, OSError, AssertionError) as error:
        raise UserError(f"{path}: no manifest of lhotse, or damaged ({type(error).__name__}: {error})") from None


def _recording_of(cut: "MonoCut | Recording", where: str) -> "tuple[Recording, float, float]":
    """The recording that a cut is a part of, and from where to where in seconds."""
    with needs("lhotse"):
        from lhotse import MonoCut, Recording
    if isinstance(cut, Recording):
        return cut, 0.0, cut.duration
    if not isinstance(cut, MonoCut):
        raise UserError(
            f"{where}: a {type(cut).__name__}; expected a MonoCut: write the audio of mixed and padded cuts first"
        )
    if not cut.has_recording or cut.recording is None:
        raise UserError(f"{where}: has no recording; features alone do not train a model of waveforms")
    if cut.channel != 0 and cut.recording.num_channels > 1:
        raise UserError(f"{where}: channel {cut.channel} of {cut.recording.num_channels}; only the first is taken")
    return cut.recording, cut.start, cut.end


def _audio_of(recording: "Recording", where: str) -> str:
    """The file of a recording."""
    if recording.transforms:
        raise UserError(
            f"{where}: its recording is changed when it is read ({recording.transforms}); write the audio first"
        )
    kinds = [source.type for source in recording.sources]
    if kinds not in (["file"], ["url"]):
        raise UserError(f"{where}: its recording has the sources {kinds}; expected one file or one address")
    source = str(recording.sources[0].source)
    if is_in_store(source):
        return source
    if not os.path.exists(source):
        raise UserError(f"{where}: {source}: no such file")
    return os.path.abspath(source)


def _member(tar: str, sample: Sample, where: str) -> str:
    audio = [extension for extension in sample.members if extension in AUDIO]
    if len(audio) != 1:
        raise UserError(
            f"{where}: no audio among {', '.join(sorted(sample.members))}; expected one of {', '.join(AUDIO)}"
        )
    _, start, size = sample.members[audio[0]]
    return f"{tar}:{start}+{size}"


def _supervised(item: Item, cut: "MonoCut | Recording", fields: Fields) -> Item:
    """An item with what the supervisions of its cut say."""
    supervisions = sorted(getattr(cut, "supervisions", ()), key=lambda one: one.start)
    texts = [one.text for one in supervisions if one.text]
    speakers = {one.speaker for one in supervisions if one.speaker}
    languages = {one.language for one in supervisions if one.language}
    return replace(
        item,
        text=" ".join(texts) if texts else None,
        speaker=speakers.pop() if len(speakers) == 1 else None,  # of several, none is the speaker
        language=languages.pop() if len(languages) == 1 else None,
        phones=_phones(item.where, cut, fields.alignment) if fields.alignment else (),
    )


def _phones(where: str, cut: "MonoCut | Recording", name: str) -> tuple[Phone, ...]:
    """What an alignment says of a cut; its times count from the start of the recording (lhotse's `AlignmentItem`)."""
    start, phones = getattr(cut, "start", 0.0), []
    recording = getattr(cut, "recording", None)
    is_shar = recording is not None and recording.sources[0].type == "shar"
    for supervision in getattr(cut, "supervisions", ()):
        alignment = supervision.alignment or {}
        if name not in alignment:
            raise UserError(f"{where}: no alignment '{name}'; it has: {', '.join(sorted(alignment)) or 'none'}")
        spans = [(item.start - start, item.start + item.duration - start, item.symbol) for item in alignment[name]]
        inside = [max(0.0, first) < min(cut.duration, last) for first, last, _ in spans]
        # A Shar folder no longer says where in its recording a cut began: times of another clock must not pass.
        if spans and not (all(inside) if is_shar else any(inside)):
            raise UserError(
                f"{where}: the times of alignment '{name}' are not those of the cut, which lasts {cut.duration:g} s"
            )
        phones += [
            Phone(max(0.0, first), min(cut.duration, last), "_".join(symbol.split()))
            for (first, last, symbol), is_inside in zip(spans, inside, strict=True)
            if is_inside and symbol.strip()
        ]
    return tuple(sorted(phones))
