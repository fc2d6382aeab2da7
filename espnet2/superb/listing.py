"""The sets of all tasks in, their lists of pieces out, and every piece encoded once."""

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from espnet2.data.format.plan import job_range
from espnet2.superb.audio import HeardSet, Piece
from espnet2.superb.cache import FeatureStore, Form
from espnet2.utils.files import atomic_write
from espnet2.utils.progress import Progress

WINDOW_SECONDS = 240.0  # audio in memory, sorted by length for the encoder
Report = Callable[[str], None]


def listed(store: FeatureStore, heard: HeardSet) -> dict[str, Piece] | None:
    """Utterance -> piece, of a set that was listed; None where it was not."""
    return _read(_list_file(store.root, heard, 1, 1))


def list_and_encode(
    store: FeatureStore, heard: HeardSet, form: Form, report: Report, *, job: int = 1, num_jobs: int = 1
) -> None:
    """List the pieces of a set and keep the features that it lacks; an array job does its share.

    The last job to end joins the lists. What a stopped job has encoded is not encoded again.

    Raises:
        UserError: audio that cannot be read or encoded.
    """
    pieces = listed(store, heard)
    if pieces is not None and not any(_is_due(store, piece, form) for piece in pieces.values()):
        return
    first, last = job_range(len(heard.items()), 1, job, num_jobs)
    done = _encode_range(store, heard, form, first, last, report)
    if last > first or num_jobs == 1:
        _write(_list_file(store.root, heard, job, num_jobs), done)
    if num_jobs > 1:
        _join(store.root, heard, num_jobs)


def _encode_range(
    store: FeatureStore, heard: HeardSet, form: Form, first: int, last: int, report: Report
) -> dict[str, Piece]:
    progress = Progress(f"features: {heard.folder}", last - first, report=report)
    done: dict[str, Piece] = {}
    window: list[tuple[Piece, Tensor]] = []
    samples = 0

    def empty() -> None:
        nonlocal window, samples
        if window:
            store.encode(heard, window, form)
        window, samples = [], 0

    coming: set[str] = set()  # equal samples within a window: encoded once
    for piece, wav in heard.load(store.scratch, first, last):
        done[piece.utt_id] = piece
        if _is_due(store, piece, form) and piece.hash not in coming:
            coming.add(piece.hash)
            window.append((piece, wav))
            samples += len(wav)
        if samples > WINDOW_SECONDS * heard.sample_rate:
            empty()
        progress.add()
    empty()
    return done


def _is_due(store: FeatureStore, piece: Piece, form: Form) -> bool:
    """Whether it is not kept, and can be."""
    return not store.is_kept(piece, form) and store.fits(piece, form)


def pieces_of(store: FeatureStore, heard: HeardSet, form: Form, report: Report) -> Mapping[str, Piece]:
    """Utterance -> piece; what is not listed or not encoded yet is now.

    Raises:
        UserError: as `list_and_encode`.
    """
    list_and_encode(store, heard, form, report)
    pieces = listed(store, heard)
    assert pieces is not None, "`list_and_encode` has just written it"
    return pieces


def _list_file(root: Path, heard: HeardSet, job: int, num_jobs: int) -> Path:
    part = "" if num_jobs == 1 else f".{job}of{num_jobs}"
    return root / "lists" / f"{heard.key}{part}.tsv"


def _write(path: Path, pieces: Mapping[str, Piece]) -> None:
    with atomic_write(path) as stream:
        stream.writelines(
            f"{piece.utt_id}\t{piece.number}\t{piece.num_samples}\t{piece.hash}\n" for piece in pieces.values()
        )


def _read(path: Path) -> dict[str, Piece] | None:
    if not path.is_file():
        return None
    rows = (line.rstrip("\n").split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {utt_id: Piece(utt_id, int(number), int(count), digest) for utt_id, number, count, digest in rows}


def _join(root: Path, heard: HeardSet, num_jobs: int) -> None:
    parts = [_read(_list_file(root, heard, job, num_jobs)) for job in range(1, num_jobs + 1)]
    empty_jobs = {
        job for job in range(1, num_jobs + 1) if len(set(job_range(len(heard.items()), 1, job, num_jobs))) == 1
    }
    if any(part is None for job, part in enumerate(parts, 1) if job not in empty_jobs):
        return
    _write(_list_file(root, heard, 1, 1), {utt_id: piece for part in parts if part for utt_id, piece in part.items()})
