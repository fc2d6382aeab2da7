"""A label text ("<utt> 3 3 17 ...") and a token list in, packed labels that follow the index out."""

import logging
import tempfile
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from espnet2.data.index import AudioIndex
from espnet2.data.labels.check import (
    MAX_MISSING_RATIO,
    SHOWN,
    TOLERANCE_LABELS,
    check_labels,
    check_missing,
    infer_label_rate,
)
from espnet2.data.labels.layout import label_dtype
from espnet2.data.labels.packed import PackedLabels, pack_labels
from espnet2.data.labels.statistics import LabelStatistics, label_statistics
from espnet2.data.labels.whole import is_whole
from espnet2.text.token_list import SPECIALS, TokenList, read_token_list
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file, hash_value
from espnet2.utils.progress import Pace


class ParsedText(NamedTuple):
    """The labels of a text, in the order of its lines, and where those of each row of the index are."""

    flat: np.ndarray  # (all labels,) memory-mapped scratch file
    starts: np.ndarray  # (utterances,) int64
    counts: np.ndarray  # (utterances,) int64; 0 for an utterance that the text lacks
    num_foreign_lines: int  # of utterances that the index lacks

    def rows(self) -> Iterator[np.ndarray]:
        """The labels of each row of the index."""
        for start, count in zip(self.starts.tolist(), self.counts.tolist(), strict=True):
            yield self.flat[start : start + count]


class ImportReport(NamedTuple):
    """What `import_labels` made."""

    labels: PackedLabels
    statistics: LabelStatistics | None  # None where the packed labels were up to date
    num_missing: int
    num_foreign_lines: int


def import_labels(
    text: str | Path,
    token_list: str | Path,
    index: AudioIndex,
    directory: str | Path,
    *,
    label_rate: int | None = None,
    tolerance_labels: int = TOLERANCE_LABELS,
    max_missing_ratio: float = MAX_MISSING_RATIO,
) -> ImportReport:
    """Read, check and pack; the folder appears only if every check passes. Up-to-date labels are kept as they are.

    Args:
        text: "<utt> <symbol> <symbol> ..." lines in any order; lines of utterances outside the index are passed over.
        token_list: gives the ids of the symbols; see `read_token_list`.
        label_rate: labels per second; None infers it from the counts.

    Raises:
        UserError: a bad file, a symbol outside the list, or what `check_labels` refuses.
    """
    text, directory = Path(text), Path(directory)
    tokens = read_token_list(token_list)
    if not text.is_file():
        raise UserError(f"{text}: no such label text; copy the pseudo-labels there, or name them with --text")
    options = [label_rate, tolerance_labels, max_missing_ratio]
    source_hash = hash_value([hash_file(text), tokens.hash, index.hash, *options])
    kept = _up_to_date(directory, source_hash)
    if kept:
        return ImportReport(kept, None, int((kept.lengths == 0).sum()), 0)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{directory.name}.scratch.", dir=directory.parent) as scratch:
        parsed = parse_label_text(text, tokens, index, Path(scratch) / "labels.bin")
        check_missing(parsed.counts, index, source=str(text), max_missing_ratio=max_missing_ratio)
        rate = label_rate or infer_label_rate(parsed.counts, index, source=str(text))
        statistics = label_statistics(parsed.rows(), tokens.num_classes)
        check_labels(
            parsed.counts,
            statistics,
            index,
            label_rate=rate,
            source=str(text),
            tolerance_labels=tolerance_labels,
            max_missing_ratio=max_missing_ratio,
        )
        labels = pack_labels(
            parsed.rows(),
            directory,
            num_classes=tokens.num_classes,
            label_rate=rate,
            index_hash=index.hash,
            source={"text": str(text), "token_list": str(token_list)},
            source_hash=source_hash,
            token_list_hash=tokens.hash,
        )
    return ImportReport(labels, statistics, int((parsed.counts == 0).sum()), parsed.num_foreign_lines)


def _up_to_date(directory: Path, source_hash: str) -> PackedLabels | None:
    try:
        labels = PackedLabels.open(directory)
    except UserError:  # missing, damaged or of an older format: made anew
        return None
    return labels if labels.card["source_hash"] == source_hash and is_whole(labels) else None


def parse_label_text(text: Path, tokens: TokenList, index: AudioIndex, scratch: Path) -> ParsedText:
    """Map the symbols to ids, through the list and never by parsing numbers, and write them to a scratch file.

    Each symbol is replaced by the bytes of its id, so a line costs one dictionary look-up per label and no array.

    Raises:
        UserError: CR LF or non-UTF-8 lines, an utterance twice, or symbols outside the list.
    """
    dtype = label_dtype(tokens.num_classes)
    codes = {symbol.encode(): np.array(number, dtype=dtype).tobytes() for symbol, number in tokens.ids.items()}
    starts = np.zeros(len(index), dtype=np.int64)
    counts = np.zeros(len(index), dtype=np.int64)
    lines = array("q", bytes(8 * len(index)))  # number of the line that gave a row its labels
    find_row = row_finder(index)
    progress = _progress(text)
    strangers: list[str] = []
    written = foreign = 0
    with open(text, "rb") as stream, open(scratch, "wb") as output:
        for number, raw in enumerate(stream, 1):
            key, symbols = _split_line(raw, text, number)
            row = find_row(key)
            if row is None:
                foreign += 1
                continue
            if lines[row]:
                raise UserError(f"{text}:{number}: utterance '{key}' is also on line {lines[row]}; keep one of them")
            lines[row] = number
            try:
                data = b"".join(map(codes.__getitem__, symbols))
            except KeyError as error:
                strangers.append(f"\n  {text}:{number}: {key}: '{error.args[0].decode(errors='replace')}'")
                if len(strangers) == SHOWN:
                    break
                continue
            starts[row], counts[row] = written // dtype.itemsize, len(data) // dtype.itemsize
            written += output.write(data)
            if number % 1024 == 0:
                progress(stream.tell())
    if strangers:
        raise _strangers_error(text, tokens, strangers)
    flat = np.asarray(np.memmap(scratch, dtype=dtype, mode="r")) if written else np.empty(0, dtype)
    return ParsedText(flat, starts, counts, foreign)


def _split_line(raw: bytes, text: Path, number: int) -> tuple[str, list[bytes]]:
    if raw.endswith(b"\r\n"):
        raise UserError(f"{text}:{number}: line ends in CR LF; convert the file: sed -i 's/\\r$//' {text}")
    key, *symbols = raw.split() or [b""]
    if not key:
        raise UserError(f"{text}:{number}: empty line; expected '<utterance> <label> <label> ...'")
    try:
        return key.decode("utf-8"), symbols
    except UnicodeDecodeError:
        raise UserError(f"{text}:{number}: not UTF-8; convert the file with iconv") from None


def row_finder(index: AudioIndex) -> Callable[[str], int | None]:
    """A look-up of utterances that is quick for those asked in the order of the index, and right for all."""
    next_row = 0

    def find(utt_id: str) -> int | None:
        nonlocal next_row
        in_order = next_row < len(index) and index.utt_id(next_row) == utt_id
        row = next_row if in_order else index.find(utt_id)
        if row is not None:
            next_row = row + 1
        return row

    return find


def _strangers_error(text: Path, tokens: TokenList, strangers: list[str]) -> UserError:
    special = any(f"'{special}'" in stranger for stranger in strangers for special in SPECIALS)
    cause = (
        "the special symbols are no classes: they come from a list that lacks some of the labels"
        if special
        else "the labels and the list come from different clusters"
    )
    return UserError(f"{text}: labels outside the token list of {tokens.describe()}; {cause}{''.join(strangers)}")


def _progress(text: Path) -> Callable[[int], None]:
    """Says every few seconds how much of a long file is read and how long the rest will take."""
    total_bytes = max(text.stat().st_size, 1)
    pace = Pace()

    def show(read_bytes: int) -> None:
        if pace.is_due():
            left_seconds = pace.left_seconds(read_bytes, total_bytes)
            logging.info("%s: %.0f %% read, about %.0f s left", text, 100 * read_bytes / total_bytes, left_seconds)

    return show
