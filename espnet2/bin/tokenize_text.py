"""Transcripts ("<utt> <text>") in, a token list or tokenised transcripts out."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from espnet2.text.bpe import MODEL_TYPES
from espnet2.text.cleaner import CLEANERS, make_cleaner
from espnet2.text.token_list import write_token_list
from espnet2.text.tokenizer import G2P_CHOICES, TOKEN_TYPES, make_tokenizer, read_symbols
from espnet2.text.vocabulary import make_vocabulary
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.kaldi_table import iterate_table, write_table


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Make a token list from transcripts (--write_vocabulary true), or tokenise them.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--input", required=True, nargs="+", help="transcripts, or sets with one, such as dump/train")
    parser.add_argument("--output", required=True, help="the token list, or '<utt> <token> ...' lines")
    parser.add_argument("--token_type", required=True, choices=TOKEN_TYPES)
    parser.add_argument("--write_vocabulary", choices=("true", "false"), default="false", help="write a token list")
    parser.add_argument("--cleaner", choices=CLEANERS, default="none", help="applied to the text first")
    parser.add_argument("--g2p", choices=G2P_CHOICES, default="none", help="phn: none if the text holds phones already")
    parser.add_argument(
        "--non_linguistic_symbols", default="", help="kept whole in char and bpe: a,b,c or a file of one a line"
    )
    parser.add_argument("--bpemodel", help="bpe: the sentencepiece model; with --write_vocabulary true it is trained")
    parser.add_argument("--nbpe", type=int, default=30, help="bpe: pieces to train, control pieces included")
    parser.add_argument("--bpemode", choices=MODEL_TYPES, default="unigram", help="bpe: kind of model to train")
    return parser


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    args = get_parser().parse_args(arguments)
    if args.token_type == "bpe" and not args.bpemodel:
        raise UserError("--token_type bpe needs --bpemodel <file>")
    clean = make_cleaner(args.cleaner)
    transcripts = [_transcript(path) for path in args.input]
    if args.write_vocabulary == "true":
        symbols = _vocabulary(args, lambda: (clean(text) for _, text in _read(transcripts)))
        write_token_list(args.output, symbols, specials=True)
        logging.info("%s: %d %s tokens besides <blank> <unk> <sos/eos>", args.output, len(symbols), args.token_type)
        return
    tokenize = make_tokenizer(
        args.token_type,
        bpe_model=args.bpemodel,
        non_linguistic_symbols=read_symbols(args.non_linguistic_symbols),
        g2p=args.g2p,
    )
    count = write_table(args.output, ((key, " ".join(tokenize(clean(text)))) for key, text in _read(transcripts)))
    logging.info("%s: %d utterances", args.output, count)


def _transcript(path: str) -> Path:
    file = Path(path) / "transcript" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise UserError(f"{file}: no transcripts; tokens are made from data/<set>/text, which travels as 'transcript'")
    return file


def _read(transcripts: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for path in transcripts:
        yield from iterate_table(path)


def _vocabulary(args: argparse.Namespace, sentences: Callable[[], Iterator[str]]) -> list[str]:
    """The symbols of the list to be."""
    # All of it is read here, so that a bad line is reported as such and not by sentencepiece.
    if sum(bool(sentence.strip()) for sentence in sentences()) == 0:
        raise UserError(f"{', '.join(args.input)}: no text after the utterance ids; a token list needs transcripts")
    return make_vocabulary(
        sentences,
        args.token_type,
        bpe_model=args.bpemodel,
        num_pieces=args.nbpe,
        bpe_type=args.bpemode,
        non_linguistic_symbols=read_symbols(args.non_linguistic_symbols),
        g2p=args.g2p,
    )


if __name__ == "__main__":
    run_main(main)
