"""A table of units in, discrete tokens for other programs out: without repeats, BPE over units, Kaldi text or arks."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import numpy as np

from espnet2.text.bpe import train_bpe
from espnet2.units.unit_file import UnitCard, iterate_units, run_lengths
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_file, read_json, write_json

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

TEXT, ARK = "text", "ark"
FORMATS = (TEXT, ARK)
FIRST_CHARACTER = 0xF0000  # unit 0; Unicode's private use area A ends 65,534 characters later
MAX_UNITS = 65_534
JOINED = "_"  # between the units of a piece: "12_7"
LONGEST_SENTENCE_BYTES = 1 << 30  # sentencepiece leaves longer ones out, and a unit is four bytes
VECTOR = np.dtype([("size", "i1"), ("value", "<i4")])  # an entry of Kaldi's binary vector of integers


@dataclass(frozen=True)
class TokenOptions:
    """What is made of units."""

    deduplicate: bool = False
    num_pieces: int | None = None  # learn a BPE of so many pieces, sentencepiece's three control pieces included
    bpe_model: Path | None = None  # or take this one, learned before on the same units
    format: str = TEXT  # of FORMATS

    def __post_init__(self) -> None:
        if self.num_pieces is not None and self.bpe_model is not None:
            raise UserError("--nbpe and --bpe_model: learn a BPE or take one, not both")


class UnitsJson(TypedDict):
    """What the card of a BPE says of the units that it was learned on."""

    num_units: int
    units_hash: str
    deduplicated: bool


class Bpe(NamedTuple):
    """A sentencepiece model whose characters are units."""

    path: Path
    pieces: tuple[str, ...]  # in the order of their ids, without control pieces


def write_tokens(table: str | Path, options: TokenOptions) -> Path:
    """Write the tokens of a table of units beside it.

    `text` has the tokens of each utterance ("12 7", or with BPE "12_7 5"), `labels.scp` and `labels.ark` their lines
    in `tokens.txt` (from 0) as Kaldi's vectors of integers; `durations.txt` how many frames each token of `text` lasts.

    Returns:
        text, or labels.scp.

    Raises:
        UserError: units that are not those of the card; a BPE of other units; a corpus too small for so many pieces.
    """
    table = Path(table)
    folder, card = table.parent, UnitCard.read(table.parent)
    bpe = _bpe(table, card, options)
    symbols = [piece_name(piece) for piece in bpe.pieces] if bpe else [str(unit) for unit in range(card.num_units)]
    with atomic_write(folder / "tokens.txt") as stream:
        stream.writelines(f"{symbol}\n" for symbol in symbols)
    made = _tokens(table, card, options, bpe)
    written = (_write_text if options.format == TEXT else _write_ark)(folder, made, symbols)
    about = {
        "units": card.source,
        "units_hash": card.hash,
        "num_units": card.num_units,
        "num_tokens": len(symbols),
        "label_rate": card.label_rate,
        "deduplicated": options.deduplicate,
        "bpe": bpe and bpe.path.name,
    }
    write_json(folder / "labels.json", about)
    return written


class _Tokens(NamedTuple):
    utt_id: str
    ids: np.ndarray  # (tokens,) lines of tokens.txt
    frames: np.ndarray  # (tokens,) that each lasts


def _tokens(table: Path, card: UnitCard, options: TokenOptions, bpe: Bpe | None) -> Iterator[_Tokens]:
    ids = {piece: number for number, piece in enumerate(bpe.pieces)} if bpe else {}
    processor = _processor(bpe.path) if bpe else None
    for utt_id, units in iterate_units(table, card.num_units):
        units, frames = run_lengths(units) if options.deduplicate else (units, np.ones_like(units))
        if processor is not None:
            pieces = processor.encode(characters(units), out_type=str)
            assert all(piece in ids for piece in pieces), (utt_id, pieces)  # every unit is a piece itself
            units = np.array([ids[piece] for piece in pieces], dtype=np.int64)
            first = np.cumsum([0, *map(len, pieces)])[:-1]
            frames = np.add.reduceat(frames, first) if len(first) else frames
        yield _Tokens(utt_id, units, frames)


def _write_text(folder: Path, made: Iterator[_Tokens], symbols: list[str]) -> Path:
    with ExitStack() as stack:
        text = stack.enter_context(atomic_write(folder / "text"))
        durations = stack.enter_context(atomic_write(folder / "durations.txt"))
        for utt_id, ids, frames in made:
            print(utt_id, *[symbols[number] for number in ids], file=text)
            print(utt_id, *frames.tolist(), file=durations)
    return folder / "text"


def _write_ark(folder: Path, made: Iterator[_Tokens], symbols: list[str]) -> Path:
    """`symbols` only numbers them."""
    ark = folder / "labels.ark"
    with ExitStack() as stack:
        scp = stack.enter_context(atomic_write(folder / "labels.scp"))
        data = stack.enter_context(atomic_write(ark, "wb"))
        durations = stack.enter_context(atomic_write(folder / "durations.txt"))
        for utt_id, ids, frames in made:
            data.write(f"{utt_id} ".encode())
            print(utt_id, f"{ark}:{data.tell()}", file=scp)
            vector = np.empty(len(ids), dtype=VECTOR)
            vector["size"], vector["value"] = 4, ids
            data.write(b"\0B\4" + len(ids).to_bytes(4, "little") + vector.tobytes())
            print(utt_id, *frames.tolist(), file=durations)
    return folder / "labels.scp"


def characters(units: np.ndarray) -> str:
    """Units as characters of the private use area.

    >>> [hex(ord(each)) for each in characters(np.array([0, 17]))]
    ['0xf0000', '0xf0011']
    """
    return "".join(map(chr, (units + FIRST_CHARACTER).tolist()))


def piece_name(piece: str) -> str:
    """A piece as text: its units.

    >>> piece_name(characters(np.array([12, 7])))
    '12_7'
    """
    return JOINED.join(str(ord(character) - FIRST_CHARACTER) for character in piece)


def _bpe(table: Path, card: UnitCard, options: TokenOptions) -> Bpe | None:
    """The BPE that is asked for: learned on this table, or taken and found to be of the same units."""
    identity = UnitsJson(num_units=card.num_units, units_hash=card.hash, deduplicated=options.deduplicate)
    if options.bpe_model is not None:
        return _open_bpe(options.bpe_model, card, identity)
    if options.num_pieces is None:
        return None
    if card.num_units > MAX_UNITS:
        raise UserError(f"--nbpe: {card.num_units:,} units, there are characters for {MAX_UNITS:,}")
    path = table.parent / "bpe.model"
    about = {**identity, "num_pieces": options.num_pieces, "table": hash_file(table)}
    if read_json(path.with_suffix(".json")) != about or not path.is_file():
        path.with_suffix(".json").unlink(missing_ok=True)
        _learn(table, path, card, options.num_pieces, deduplicate=options.deduplicate)
        write_json(path.with_suffix(".json"), about)
    return _open_bpe(path, card, identity)


def _learn(table: Path, path: Path, card: UnitCard, num_pieces: int, *, deduplicate: bool) -> None:
    least = card.num_units + 3
    if num_pieces <= least:
        raise UserError(f"--nbpe {num_pieces}: {card.num_units} units and 3 control pieces need more")
    heard = np.zeros(card.num_units, dtype=bool)
    for _, units in iterate_units(table, card.num_units):
        heard[units] = True
    rows = (units for _, units in iterate_units(table, card.num_units) if len(units))
    sentences = (characters(run_lengths(units)[0] if deduplicate else units) for units in rows)
    train_bpe(
        sentences,
        path,
        num_pieces=num_pieces,
        model_type="bpe",
        non_linguistic_symbols=characters(np.flatnonzero(~heard)),  # a piece by themselves: another set may have them
        normalization_rule_name="identity",  # nothing here is a space, a script or a letter
        add_dummy_prefix=False,
        split_by_unicode_script=False,
        max_sentence_length=LONGEST_SENTENCE_BYTES,
    )


def _open_bpe(path: Path, card: UnitCard, identity: UnitsJson) -> Bpe:
    about = read_json(path.with_suffix(".json"))
    if about is None or not path.is_file():
        raise UserError(f"{path}: expected a BPE of units there, and its card {path.with_suffix('.json').name}")
    different = [f"{key} {about.get(key)}, not {value}" for key, value in identity.items() if about.get(key) != value]
    if different:
        raise UserError(f"{path}: was learned on other units ({'; '.join(different)}) than {card.source}")
    processor = _processor(path)
    names = (processor.id_to_piece(number) for number in range(processor.get_piece_size()))
    return Bpe(path, tuple(name for name in names if ord(name[0]) >= FIRST_CHARACTER))


def _processor(path: Path) -> "SentencePieceProcessor":
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(path))
