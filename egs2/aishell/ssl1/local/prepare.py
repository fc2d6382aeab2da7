"""The folder data_aishell in, the tables of data/{train,dev,test} out."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from espnet2.data_prep.scan import require_root, scan_audio
from espnet2.data_prep.tables import Utterance, write_data_dir
from espnet2.utils.errors import UserError, run_main
from espnet2.utils.progress import Progress

WHAT = "AISHELL-1 (--aishell_root)"
SETS = ("train", "dev", "test")
TRANSCRIPTS = "transcript/aishell_transcript_v0.8.txt"
# Of the published archive: 141,925 recordings, of which 141,600 have a transcript.
NUM_TRANSCRIPTS = 141600


def find_corpus(root: Path) -> Path:
    """The folder with transcript/ and wav/{train,dev,test}: the root, or data_aishell in it.

    Raises:
        UserError: it is not there, or its archives are not unpacked.
    """
    require_root(root, (), WHAT)
    folder = root / "data_aishell" if (root / "data_aishell").is_dir() else root
    if any((folder / "wav").glob("S*.tar.gz")) and not (folder / "wav" / "train").is_dir():
        raise UserError(f"{WHAT}: {folder}/wav holds archives (S0002.tar.gz, ...); run local/unpack.py {folder}, once")
    return require_root(folder, (TRANSCRIPTS, *(f"wav/{name}" for name in SETS)), WHAT)


def read_transcripts(path: Path) -> dict[str, str]:
    """Utterance -> its characters: Chinese is written without blanks, the blanks of the file part words.

    Raises:
        UserError: not UTF-8, or an utterance with two different transcripts.
    """
    texts: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8; the file is damaged: unpack the corpus again") from None
    for number, line in enumerate(lines, 1):
        name, *words = line.split() or [""]
        text = "".join(words)
        if name and text and texts.setdefault(name, text) != text:
            raise UserError(f"{path}:{number}: {name} has another transcript above; the file is damaged")
    return texts


def speaker_of(name: str) -> str:
    """`BAC009S0002` of `BAC009S0002W0122`: the speaker is the beginning of the id, as Kaldi wants it.

    Raises:
        UserError: the name has another form.
    """
    speaker, separator, number = name.rpartition("W")
    if not (separator and number.isdigit() and speaker):
        raise UserError(f"{WHAT}: recording {name}: expected a name such as BAC009S0002W0122")
    return speaker


def find_recordings(corpus: Path, num_jobs: int, work: Path) -> dict[str, dict[str, str]]:
    """Set -> name of the recording -> its file. A scan that was stopped goes on from the folder `work`.

    Raises:
        UserError: a set is empty, a name is there twice, or a speaker is in two sets.
    """
    files_of_set: dict[str, dict[str, str]] = {}
    set_of: dict[str, str] = {}
    progress = Progress("recordings found")
    for dset in SETS:
        files = files_of_set[dset] = {}
        for path in scan_audio(corpus / "wav" / dset, (".wav",), num_jobs, work):
            progress.add()
            name = Path(path).stem
            if name in files:
                raise UserError(f"{corpus}/wav/{dset}/{path}: there is another recording {name}; the copy is damaged")
            files[name] = f"{corpus}/wav/{dset}/{path}"
            speaker = speaker_of(name)
            if set_of.setdefault(speaker, dset) != dset:
                raise UserError(
                    f"{files[name]}: speaker {speaker} is also in wav/{set_of[speaker]}; the sets must share none"
                )
        if not files:
            raise UserError(f"{WHAT}: no recordings in {corpus}/wav/{dset}; unpack the archives of wav/ there")
    return files_of_set


def utterances(files: dict[str, str], texts: dict[str, str]) -> Iterator[Utterance]:
    """The recordings that have a transcript."""
    for name, path in files.items():
        if name in texts:
            yield Utterance(utt_id=name, speaker=speaker_of(name), wav=path, text=texts[name], language="zh")


def main() -> None:
    """Check the corpus, write the three sets, say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, required=True, help="data_aishell, or the folder it lies in")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for train/, dev/ and test/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what a stopped scan goes on with")
    parser.add_argument("--nj", type=int, default=1, help="folders to read at a time")
    arguments = parser.parse_args()
    corpus = find_corpus(arguments.root.absolute())
    texts = read_transcripts(corpus / TRANSCRIPTS)
    files_of_set = find_recordings(corpus, arguments.nj, arguments.work)
    total = 0
    for dset, files in files_of_set.items():
        summary = write_data_dir(arguments.output_dir / dset, utterances(files, texts))
        left_out = len(files) - summary.num_utterances
        note = f"; left out {left_out:,} without a transcript" if left_out else ""
        print(f"{dset}: {summary.num_speakers} speakers, {summary.num_utterances:,} utterances{note}")
        total += summary.num_utterances
    if total != NUM_TRANSCRIPTS:
        print(f"warning: {total:,} utterances in all; the published corpus has {NUM_TRANSCRIPTS:,}")


if __name__ == "__main__":
    run_main(main)
