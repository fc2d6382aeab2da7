"""The folder of unpacked Debian packages in, the list of their spoken clips out: who says what in which language."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from espnet2.data_prep.scan import require_root
from espnet2.utils.errors import UserError

PROMPTS = Path("usr/share/asterisk/sounds")  # of the packages asterisk-core-sounds-{en,es,fr,it,ru}-g722
STAMPS = Path("usr/share/tuxpaint/stamps")  # of the package tuxpaint-stamps-default
# Folder -> language, speaker: Allison Smith speaks English and Spanish (the packages' copyright files).
VOICES = {
    "en_US_f_Allison": ("en", "ast_allison"),
    "es_MX_f_Allison": ("es", "ast_allison"),
    "fr_CA_f_June": ("fr", "ast_june"),
    "it_IT_m_Carlo": ("it", "ast_carlo"),
    "ru_RU_f_IvrvoiceRU": ("ru", "ast_ivrvoice"),
}
# Tones, jingles and silence.
NOT_SPEECH = re.compile(r"silence/.*|beep|beeperr|.*-2tone|confbridge-(join|leave)|tt-monkeys")
STAMP_SOUND = re.compile(r"(?P<stamp>.+)_desc(?:_(?P<language>[a-z]+))?\.ogg(?:\.ogg)?")  # no language: English
TRANSLATION = re.compile(r"(?P<language>[a-z]+)\.utf8=(?P<text>.*)")


class Clip(NamedTuple):
    """One file that somebody speaks in."""

    utt_id: str  # begins with the speaker
    speaker: str
    language: str  # ISO 639-1
    path: Path
    text: str  # "": the package has no transcript
    sentence: str  # the same for clips of one language that say the same, as far as the packages tell


def prompts(root: Path) -> Iterator[Clip]:
    """The telephone prompts; a prompt's name stands for its sentence."""
    for folder, (language, speaker) in VOICES.items():
        for path in sorted((root / PROMPTS / folder).rglob("*.g722")):
            name = path.relative_to(root / PROMPTS / folder).with_suffix("").as_posix()
            if not NOT_SPEECH.fullmatch(name):
                yield Clip(f"{speaker}-{language}-{as_id(name)}", speaker, language, path, "", name)


def stamps(root: Path) -> Iterator[Clip]:
    """The descriptions of a drawing program's pictures, spoken by (nearly) one person per language."""
    for path in sorted((root / STAMPS).rglob("*.ogg")):
        match = STAMP_SOUND.fullmatch(path.name)
        if match is None:  # what the picture sounds like, not what it is called
            continue
        language, stamp = match["language"] or "en", path.with_name(match["stamp"])
        name = stamp.relative_to(root / STAMPS).as_posix()
        text = transcript(stamp.with_name(f"{stamp.name}.txt"), language)
        sentence = " ".join(re.findall(r"\w+", text.casefold())) or name
        yield Clip(f"tux_{language}-{as_id(name)}", f"tux_{language}", language, path, text, sentence)


def as_id(name: str) -> str:
    """A path as a part of an utterance id.

    >>> as_id("animals/cats/lion-2")
    'animals_cats_lion-2'
    """
    return re.sub(r"[^A-Za-z0-9-]", "_", name)


def transcript(path: Path, language: str) -> str:
    """A stamp's description in a language; "" where there is none.

    The first line is English, the others are "<language>.utf8=<text>".

    Raises:
        UserError: the file is not UTF-8.
    """
    if not path.is_file():
        return ""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; the package is damaged: fetch or unpack it again") from None
    texts = {"en": lines[0]} if lines else {}
    for match in filter(None, map(TRANSLATION.fullmatch, lines[1:])):
        texts[match["language"]] = match["text"]
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\ufeff\u200b-\u200f]", " ", texts.get(language, "")).split())


class Listing(NamedTuple):
    """All clips, each recording once."""

    clips: list[Clip]  # sorted by utterance id
    checksums: dict[str, str]  # utterance id -> SHA-256 of its file
    num_duplicates: int
    num_empty: int


def list_clips(root: Path) -> Listing:
    """Read both kinds; of files with the same bytes the first by id is kept, empty files are not.

    Raises:
        UserError: a package is missing, or two files get the same utterance id.
    """
    expected = [*(f"{PROMPTS}/{folder}" for folder in VOICES), str(STAMPS)]
    require_root(root, expected, "debian_voices (--debian_voices_root, a folder with all six packages unpacked)")
    clips = sorted([*prompts(root), *stamps(root)])
    twice = [name for name, count in Counter(clip.utt_id for clip in clips).items() if count > 1]
    if twice:
        raise UserError(f"{root}: two files would be called {twice[0]}; is it more than the packages?")
    kept, checksums, seen, num_empty = [], {}, set(), 0
    for clip in clips:
        content = clip.path.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        num_empty += not content
        if content and checksum not in seen:
            seen.add(checksum)
            kept.append(clip)
            checksums[clip.utt_id] = checksum
    return Listing(kept, checksums, len(clips) - len(kept) - num_empty, num_empty)
