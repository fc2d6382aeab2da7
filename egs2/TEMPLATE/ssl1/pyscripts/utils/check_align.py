#!/usr/bin/env python3
"""Scores and phone labels of songs in; the scores with the phones of each note out, where both agree."""

import argparse
from pathlib import Path

from espnet2.fileio.read_text import read_2columns_text, read_label
from espnet2.fileio.score_scp import TIED, SingingScoreReader, SingingScoreWriter
from espnet2.text.phoneme_tokenizer import PhonemeTokenizer
from espnet2.utils.errors import UserError, run_main

SILENCES = ("<AP>", "<SP>")  # breath and pause among syllables
LYRIC = 2  # place of the syllable in a note, and of the phone in a label


def add_phones(
    key: str, notes: list[list], labels: list[list[str]], phones_of: PhonemeTokenizer, syllable_phones: dict
) -> None:
    """Add to each note its phones, joined by "_"; together they are the labels.

    Raises:
        UserError: the first place where the syllables have other phones than the labels.
    """
    label_phones = [label[LYRIC] for label in labels]
    position, last = 0, ""
    for note in notes:
        syllable = note[LYRIC]
        if syllable in SILENCES:
            continue
        phones = [last] if syllable == TIED else syllable_phones.get(syllable) or phones_of.text2tokens(syllable)
        for phone in phones:
            label = label_phones[position] if position < len(label_phones) else "nothing more"
            if label != phone:
                expected = f"'{syllable}' is {' '.join(phones)}, but label {position + 1} is {label}"
                raise UserError(f"{key}: {expected}; mend the score or the labels, or add it to --customed_dic")
            position += 1
        note.append("_".join(phones))
        last = phones[-1]
    if left := label_phones[position:]:
        raise UserError(f"{key}: {len(left)} labels are left after the last syllable, from '{left[0]}' on")


def main() -> None:
    """Read <scp>/score.scp and <scp>/label, write <scp>/score.scp.tmp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scp", type=Path, help="a data directory")
    parser.add_argument("--g2p", default="pyopenjtalk", help="how syllables become phones")
    parser.add_argument("--score_dump", default="score_dump", help="folder of the new scores")
    parser.add_argument("--customed_dic", default="local/customed_dic.scp", help="'<syllable> <phone>_<phone>' lines")
    options = parser.parse_args()
    reader, labels = SingingScoreReader(options.scp / "score.scp"), read_label(options.scp / "label")
    tokenizer = PhonemeTokenizer(options.g2p)
    table = read_2columns_text(options.customed_dic) if Path(options.customed_dic).is_file() else {}
    syllable_phones = {syllable: phones.split("_") for syllable, phones in table.items()}
    with SingingScoreWriter(options.score_dump, options.scp / "score.scp.tmp") as writer:
        for key, phones in labels.items():
            if key not in reader:
                raise UserError(f"{options.scp / 'score.scp'} has no score of {key}, which has labels")
            score = reader[key]
            add_phones(key, score["note"], phones, tokenizer, syllable_phones)
            score["item_list"].append("phn")
            writer[key] = score


if __name__ == "__main__":
    run_main(main)
