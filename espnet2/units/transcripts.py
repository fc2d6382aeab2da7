"""The phone or word transcripts of a dump folder, where it has some."""

from collections.abc import Iterable
from pathlib import Path

from espnet2.text.ctc import TextRules
from espnet2.units.alignment import find_phones, read_phones
from espnet2.utils.kaldi_table import read_table

TRANSCRIPT = "transcript"  # of dump/<set>: data/<set>/text, see espnet2/bin/tokenize_text.py
SILENCES = frozenset(("sil", "sp", "spn", "pau", "h#", "<eps>", ""))  # in lower case: of espeak, MFA, Kaldi, TIMIT


def read_texts(dump_set: Path, rules: TextRules, alignments: Path | None) -> dict[str, str]:
    """Utterance -> its prepared text: of phn without g2p and transcripts of phones, the phones of the alignments.

    Raises:
        SkippedTask: there are none.
        UserError: malformed ones.
    """
    if rules.token_type == "phn" and rules.g2p == "none":
        files = find_phones(dump_set, alignments)
        if files is None:
            raise SkippedTask(f"no phone alignments of {dump_set}, and no g2p is chosen for its transcripts")
        known = read_phones(files, dump_set).alignments
        return {
            utt_id: " ".join(_spoken(known.phones[phone] for phone in alignment.phones))
            for utt_id, alignment in known.utterances.items()
        }
    path = dump_set / TRANSCRIPT
    if not path.is_file():
        raise SkippedTask(f"no {path}")
    prepare = rules.prepare()
    return {utt_id: prepare(text) for utt_id, text in read_table(path).items()}


def _spoken(phones: Iterable[str]) -> list[str]:
    return [phone for phone in phones if phone.lower() not in SILENCES]


class SkippedTask(Exception):
    """These sets cannot give this task; the message says why, for the notes."""
