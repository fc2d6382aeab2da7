#!/usr/bin/env python3
"""A Kaldi text in, the same text with phones instead of words out."""

import argparse
from concurrent.futures import ProcessPoolExecutor

from espnet2.text.cleaner import make_cleaner
from espnet2.text.phoneme_tokenizer import PhonemeTokenizer
from espnet2.utils.errors import run_main
from espnet2.utils.kaldi_table import iterate_table, write_table

CHUNK_LINES = 100  # handed to a process at once


def main() -> None:
    """Write `<utterance> <phone> <phone> ...` for each line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--g2p", required=True, help="how words become phones: see espnet2/text/phoneme_tokenizer.py")
    parser.add_argument("--cleaner", default="none", help="none or tacotron: what is done to the text before")
    parser.add_argument("--nj", type=int, default=4, help="processes")
    parser.add_argument("in_text")
    parser.add_argument("out_text")
    options = parser.parse_args()
    tokenizer = PhonemeTokenizer(options.g2p)
    clean = make_cleaner(options.cleaner)
    rows = [(key, clean(text)) for key, text in iterate_table(options.in_text)]
    texts = [text for _, text in rows]
    if options.nj > 1:
        with ProcessPoolExecutor(options.nj) as pool:
            phones = list(pool.map(tokenizer.text2tokens, texts, chunksize=CHUNK_LINES))
    else:
        phones = [tokenizer.text2tokens(text) for text in texts]
    write_table(options.out_text, ((key, " ".join(tokens)) for (key, _), tokens in zip(rows, phones, strict=True)))


if __name__ == "__main__":
    run_main(main)
