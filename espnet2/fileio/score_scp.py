"""Scores of songs (MusicXML, MIDI, JSON) behind an scp table in, tempo and notes out; JSON scores written.

The names and what they give are those of ESPnet's module, which the recipes of singing corpora import.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from espnet2.fileio.read_text import read_2columns_text
from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs
from espnet2.utils.files import require_json

if TYPE_CHECKING:
    import music21

PAUSE, BREATH, TIED, ANY_SYLLABLE = "P", "B", "—", "*"  # lyrics that stand for no syllable
SAME_SYLLABLE = (None, "", "ー")  # how scores write that the syllable goes on
BREAK = "br"  # a note that is none


@dataclass
class NOTE:
    """A note: its syllable, MIDI pitch (0: none), begin and end in seconds."""

    lyric: str
    midi: int
    st: float
    et: float


def _load(name: str) -> ModuleType:
    import importlib

    with needs(f"scores of songs need {name}: pip install 'espnet2-ssl[singing]', or pip install {name}"):
        return importlib.import_module(name)


class _Scores(Mapping):
    """An scp table of score files; what a key gives is read when it is asked for."""

    def __init__(self, fname: str | Path):
        self.data = read_2columns_text(fname)

    def get_path(self, key: str) -> str:
        """The file of a key."""
        return self.data[key]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)


class XMLReader(_Scores):
    """MusicXML files: key -> (beats per minute, notes of the first part).

    A rest is a note with the lyric "P" and pitch 0, a breath mark an empty one with "B", a second pitch of one syllable
    one with "—". A rest at the end is left out.
    """

    def __init__(self, fname: str | Path, dtype: object = None):
        super().__init__(fname)
        self.music21 = _load("music21")

    def __getitem__(self, key: str) -> tuple[int, list[NOTE]]:
        score = self.music21.converter.parse(self.data[key])
        tempos = (mark.number for _, _, mark in score.metronomeMarkBoundaries())
        tempo = next((number for number in tempos if number is not None), None)
        if tempo is None:
            raise UserError(f"{self.data[key]}: no tempo is written in this score")
        notes: list[NOTE] = []
        begin = 0.0
        for element in score.parts[0].flatten().notesAndRests:
            end = begin + element.seconds
            _add_element(notes, element, begin, end)
            begin = end
        if notes and notes[-1].lyric == PAUSE:
            notes.pop()
        return int(tempo), notes


def _previous_pitch(notes: list[NOTE]) -> int:
    """The pitch before: 0 after a rest, -1 at the beginning; a breath mark does not count."""
    return next((note.midi for note in reversed(notes) if note.lyric != BREATH), -1)


def _add_pause(notes: list[NOTE], begin: float, end: float) -> None:
    if notes and notes[-1].lyric == PAUSE:
        notes[-1].et += end - begin
    else:
        notes.append(NOTE(PAUSE, 0, begin, end))


def _add_element(notes: list[NOTE], element: "music21.note.GeneralNote", begin: float, end: float) -> None:
    """Add a note, chord or rest of music21."""
    if element.isRest or element.lyric == BREAK:
        _add_pause(notes, begin, end)
        return
    previous = _previous_pitch(notes)
    pitches = [note.pitch.midi for note in element] if element.isChord else [element.pitch.midi]
    pitch = next((value for value in pitches if value != previous), pitches[0])  # of a chord the one that is new
    if element.lyric not in SAME_SYLLABLE:
        notes.append(NOTE(element.lyric, pitch, begin, end))
    elif notes and previous in (pitch, 0):
        notes[-1].et += end - begin
    else:
        notes.append(NOTE(TIED, pitch, begin, end))
    if any(articulation.name == "breath mark" for articulation in element.articulations):
        notes.append(NOTE(BREATH, 0, end, end))


class MIDReader(_Scores):
    """MIDI files of one tempo: key -> (beats per minute, notes of the first instrument); the lyric is "*".

    add_rest: what is silent between notes is a note with the lyric "P".
    """

    def __init__(self, fname: str | Path, add_rest: bool = True, dtype: object = None):
        super().__init__(fname)
        self.add_rest = add_rest
        self.miditoolkit = _load("miditoolkit")

    def __getitem__(self, key: str) -> tuple[int, list[NOTE]]:
        song = self.miditoolkit.midi.parser.MidiFile(self.data[key])
        if len(song.tempo_changes) != 1:
            raise UserError(f"{self.data[key]}: {len(song.tempo_changes)} tempos; expected one")
        seconds = song.get_tick_to_time_mapping()
        notes: list[NOTE] = []
        before = 0.0
        for note in sorted(song.instruments[0].notes, key=lambda note: (note.start, note.pitch)):
            begin, end = seconds[note.start], seconds[note.end]
            if self.add_rest and begin != before:
                notes.append(NOTE(PAUSE, 0, before, begin))
            notes.append(NOTE(ANY_SYLLABLE, note.pitch, begin, end))
            before = end
        return int(song.tempo_changes[0].tempo + 0.5), notes


class SingingScoreReader(_Scores):
    """JSON scores, as SingingScoreWriter writes them: key -> the score, a dictionary."""

    def __init__(self, fname: str | Path, dtype: object = None):
        super().__init__(fname)

    def __getitem__(self, key: str) -> dict[str, Any]:
        return require_json(Path(self.data[key]), f"write the score of {key} again")


class SingingScoreWriter:
    """Scores in, <outdir>/<key>.json and a line of the scp table for each out.

    A score is {"tempo": beats per minute, "item_list": names of the values of a note, "note": [[value, ...], ...]}.
    """

    def __init__(self, outdir: str | Path, scpfile: str | Path):
        self.folder = Path(outdir)
        Path(scpfile).parent.mkdir(parents=True, exist_ok=True)
        self.table = open(scpfile, "w", encoding="utf-8")  # noqa: SIM115 - close() is called by the user
        self.data: dict[str, str] = {}

    def __enter__(self) -> "SingingScoreWriter":
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __setitem__(self, key: str, score: Mapping[str, Any]) -> None:
        path = self.folder / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(score, ensure_ascii=False, indent=2), encoding="utf-8")
        self.table.write(f"{key} {path}\n")
        self.data[key] = str(path)

    def get_path(self, key: str) -> str:
        """The file of a score that was written."""
        return self.data[key]

    def close(self) -> None:
        """Close the table."""
        self.table.close()
