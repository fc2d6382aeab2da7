"""Audio files in; the same bytes in arks, tars, Parquet files and on a server out, with the entries that name them."""

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from espnet2.data.audio.entry import samples_of

Files = Mapping[str, Path]  # utterance -> audio file


def as_arks(files: Files, folder: Path) -> dict[str, str]:
    """kaldiio's layout for any codec: "AUDIO", 8, the length, the file."""
    entries = {}
    with open(folder / "all.ark", "wb") as stream:
        for utt_id, path in files.items():
            stream.write(f"{utt_id} ".encode())
            entries[utt_id] = f"{folder}/all.ark:{stream.tell()}"
            content = path.read_bytes()
            stream.write(b"AUDIO\x08" + len(content).to_bytes(8, "little") + content)
    return entries


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    """A tar of named contents, in this order."""
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))


def as_tar(files: Files, folder: Path) -> dict[str, str]:
    """Two shards in WebDataset's naming."""
    entries, names = {}, list(files)
    for number, part in enumerate((names[::2], names[1::2])):
        path = folder / f"{number:06d}.tar"
        write_tar(path, {f"{utt_id}{files[utt_id].suffix}": files[utt_id].read_bytes() for utt_id in part})
        with tarfile.open(path) as archive:
            entries |= {Path(one.name).stem: f"{path}:{one.offset_data}+{one.size}" for one in archive}
    return dict(sorted(entries.items()))


def as_parquet(files: Files, folder: Path, *, rows_in_group: int = 4, **columns: list) -> dict[str, str]:
    """The `Audio` feature of Hugging Face's datasets, {bytes, path}, in row groups."""
    import pyarrow
    from pyarrow import parquet

    path = folder / "train-00000-of-00001.parquet"
    cells = [{"bytes": file.read_bytes(), "path": f"{utt_id}{file.suffix}"} for utt_id, file in files.items()]
    parquet.write_table(pyarrow.table({"audio": cells, **columns}), path, row_group_size=rows_in_group)
    return {
        utt_id: f"{path}:audio[{number // rows_in_group},{number % rows_in_group}]"
        for number, utt_id in enumerate(files)
    }


def as_parts(files: Files, folder: Path) -> dict[str, str]:
    """All of them in one long file, which must be wav files of one form."""
    import numpy as np
    import soundfile

    waves = {utt_id: soundfile.read(path, dtype="int16")[0] for utt_id, path in files.items()}
    long = folder / "long.flac"
    soundfile.write(long, np.concatenate(list(waves.values())), 16000, subtype="PCM_16")
    entries, start = {}, 0
    for utt_id, wave in waves.items():
        entries[utt_id] = samples_of(str(long), start, len(wave))
        start += len(wave)
    return entries


SOURCES: dict[str, Callable[[Files, Path], dict[str, str]]] = {
    "ark": as_arks,
    "tar": as_tar,
    "parquet": as_parquet,
    "parts": as_parts,
}
