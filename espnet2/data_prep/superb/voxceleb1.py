"""VoxCeleb1 in, the sets of speaker identification and verification out."""

from pathlib import Path

from espnet2.data_prep.superb.base import SuperbCorpus, read_lines, require_file, require_folder, write_set
from espnet2.utils.config import Config
from espnet2.utils.errors import UserError

SPLITS = ("iden_split.txt", "veri_test_class.txt")  # the corpus's list, and the name that s3prl gives it
TRIALS = ("veri_test2.txt", "voxceleb1_test_v2.txt", "veri_test.txt")  # cleaned; the same as s3prl calls it; the first
PARTS = {"1": "train", "2": "dev", "3": "test"}


class VoxCeleb1(SuperbCorpus):
    """dev/wav and test/wav with speakers below, and the two lists in the root."""

    name = "voxceleb1"
    title = "VoxCeleb1"

    def prepare(self, root: Path, data: Path, options: Config) -> list[str]:
        wav_roots = [
            require_folder(root / part / "wav", f"expected dev/wav and test/wav of {self.title}")
            for part in ("dev", "test")
        ]
        _identification(root, wav_roots, data / "sid")
        _verification(root, wav_roots[0], wav_roots[1], data / "asv")
        return ["sid", "asv"]


def _list(root: Path, names: tuple[str, ...]) -> Path:
    present = [root / name for name in names if (root / name).is_file()]
    if not present:
        raise UserError(f"{root}: none of {', '.join(names)}; the list comes with VoxCeleb1, see doc/superb.md")
    return present[0]


def utterance_of(name: str) -> str:
    """The path of a file below wav/ -> its utterance.

    >>> utterance_of("id10001/1zcIwhmdeo4/00001.wav")
    'id10001-1zcIwhmdeo4-00001'
    """
    return name.removesuffix(".wav").replace("/", "-")


def _identification(root: Path, wav_roots: list[Path], task: Path) -> None:
    path = _list(root, SPLITS)
    sets: dict[str, dict[str, str]] = {part: {} for part in PARTS.values()}
    for number, line in enumerate(read_lines(path, "a line per utterance"), 1):
        words = line.split()
        if len(words) != 2 or words[0] not in PARTS:
            raise UserError(f"{path}:{number}: expected '1|2|3 <speaker>/<video>/<file>.wav', got '{line[:80]}'")
        files = [folder / words[1] for folder in wav_roots if (folder / words[1]).is_file()]
        if not files:
            raise UserError(f"{path}:{number}: {words[1]} is neither in {' nor in '.join(map(str, wav_roots))}")
        sets[PARTS[words[0]]][words[1]] = str(files[0])
    for part, files_of_part in sets.items():
        wavs = {utterance_of(name): file for name, file in files_of_part.items()}
        speakers = {utterance_of(name): name.split("/")[0] for name in files_of_part}
        write_set(task / part, wavs, {"utt2spk": speakers})


def _verification(root: Path, dev: Path, test: Path, task: Path) -> None:
    """All of dev to learn from, the trials of test to judge by."""
    names = sorted(file.relative_to(dev).as_posix() for file in dev.glob("*/*/*.wav"))
    write_set(
        task / "train",
        {utterance_of(name): str(dev / name) for name in names},
        {"utt2spk": {utterance_of(name): name.split("/")[0] for name in names}},
    )
    path = _list(root, TRIALS)
    trials: dict[str, str] = {}
    files: dict[str, str] = {}
    for number, line in enumerate(read_lines(path, "a line per trial"), 1):
        words = line.split()
        if len(words) != 3 or words[0] not in ("0", "1"):
            raise UserError(f"{path}:{number}: expected '0|1 <file> <file>', got '{line[:80]}'")
        for name in words[1:]:
            files[utterance_of(name)] = str(require_file(test / name, f"{path}:{number} names it"))
        first, second = map(utterance_of, words[1:])
        trials[f"{number:06d}"] = f"{first} {second} {'target' if words[0] == '1' else 'nontarget'}"
    write_set(task / "test", files, {"trials": trials, "utt2spk": {name: name.split("-")[0] for name in files}})
