"""The same audio through torchaudio and lhotse; what is not installed is left out, and a line says so."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from audio_copies import Copies

if TYPE_CHECKING:
    from lhotse import CutSet

NamedReader = tuple[str, str, Callable[[range], int]]  # title, the title of what it is compared with, rows -> samples
SHAR_UTTERANCES = 100  # in a shard


def torchaudio_readers(copies: Copies) -> list[NamedReader]:
    """`torchaudio.load` of wav and FLAC."""
    try:
        import torchaudio

        torchaudio.load(copies.entries["flac"][0])
    except (ImportError, OSError, RuntimeError) as error:
        print(f"torchaudio is left out: {str(error).splitlines()[0]}", file=sys.stderr)
        return []

    def reader(entries: list[str]) -> Callable[[range], int]:
        return lambda rows: sum(torchaudio.load(entries[row])[0].shape[-1] for row in rows)

    name = f"torchaudio {torchaudio.__version__}"
    return [(f"{name}, {codec}", f"libsndfile, {codec}", reader(copies.entries[codec])) for codec in ("wav", "flac")]


def lhotse_readers(copies: Copies, folder: Path) -> list[NamedReader]:
    """`Cut.load_audio`, batches as its datasets collate them, with and without augmentation, and a Shar folder."""
    try:
        import lhotse
        from lhotse.dataset.collation import collate_audio
        from lhotse.dataset.cut_transforms import CutMix, PerturbSpeed
    except ImportError as error:
        print(f"lhotse is left out: {error}", file=sys.stderr)
        return []
    name = f"lhotse {lhotse.__version__}"
    cuts = {
        codec: [lhotse.Recording.from_file(path).to_cut() for path in copies.entries[codec]]
        for codec in ("wav", "flac")
    }

    def batches(change: "Callable[[CutSet], CutSet]") -> Callable[[range], int]:
        def read(rows: range) -> int:
            some = lhotse.CutSet.from_cuts(cuts["flac"][rows.start : rows.stop])
            return int(collate_audio(change(some))[1].sum())

        return read

    everything = lhotse.CutSet.from_cuts(cuts["flac"])
    readers: list[NamedReader] = [
        (f"{name}, {codec}", f"libsndfile, {codec}", _loaded(cuts[codec])) for codec in ("wav", "flac")
    ]
    readers.append((f"{name}, flac in Shar", "libsndfile, flac", _in_order(everything, folder / "shar")))
    mix = CutMix(everything, snr=(-5.0, 5.0), p=0.2, preserve_id=True, seed=0)
    changes = {"": lambda some: some, ", CutMix": mix, ", speed": PerturbSpeed([0.9, 1.1], p=2 / 3, preserve_id=True)}
    return readers + [
        (f"{name}, batches of flac{title}", "libsndfile, flac", batches(change)) for title, change in changes.items()
    ]


def _loaded(cuts: list) -> Callable[[range], int]:
    return lambda rows: sum(cuts[row].load_audio().shape[-1] for row in rows)


def _in_order(cuts: "CutSet", folder: Path) -> Callable[[range], int]:
    """A Shar folder is read from its begin to its end, and again: rows only say how many."""
    import lhotse

    folder.mkdir()
    cuts.to_shar(folder, {"recording": "flac"}, shard_size=SHAR_UTTERANCES, num_jobs=1, verbose=False)
    stream = iter(lhotse.CutSet.from_shar(in_dir=folder).repeat())
    return lambda rows: sum(next(stream).load_audio().shape[-1] for _ in rows)
