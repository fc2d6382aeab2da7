"""What a user calls his shards in, the shards out: every one of them is there, or one message says which is not."""

import os
import re
from glob import glob, has_magic
from itertools import product
from pathlib import Path
from typing import NamedTuple

from espnet2.data.audio.entry import is_in_store
from espnet2.data.audio.store import find_object, list_objects
from espnet2.utils.errors import UserError

# End of a name -> kind. A list names further shards, one a line.
KINDS = {".tar": "tar", ".parquet": "parquet", ".jsonl": "cuts", ".jsonl.gz": "cuts", ".json": "cuts",
         ".json.gz": "cuts", ".txt": "list", ".lst": "list"}  # fmt: skip
SHAR_CUTS = re.compile(r"cuts\.(\d+)\.jsonl(\.gz)?")  # of lhotse's Shar folders, beside recording.<number>.tar
BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")
BETWEEN = re.compile(r"[,\s]+(?![^{}]*\})")  # words; not in braces
EXPECTED = (
    "expected .tar, .parquet, a manifest of lhotse (.jsonl.gz), a Shar folder, hf:<dataset>, or a .txt that lists them"
)


class Shard(NamedTuple):
    """A file that is read by itself."""

    kind: str  # "tar", "parquet", "cuts", or "shar": cuts with the tar of their recordings beside them
    path: str


def list_shards(text: str, split: str) -> list[Shard]:
    """The shards that words name, in their order.

    Args:
        text: paths and addresses separated by commas or blanks, with * and {000..012}; folders; hf:<folder or name>.
        split: of Hugging Face's datasets: "train".

    Raises:
        UserError: one is not there or of no known kind, nothing matches a pattern, or one is named twice.
    """
    words = [text] if os.path.exists(text) else list(filter(None, BETWEEN.split(text)))  # a path may have blanks
    shards = [shard for word in words for name in expand_braces(word) for shard in _of_word(name, split)]
    if not shards:
        raise UserError(f"no shard is named; {EXPECTED}")
    seen: set[str] = set()
    for shard in shards:
        if shard.path in seen:
            raise UserError(f"{shard.path}: this shard is named twice")
        seen.add(shard.path)
    return shards


def expand_braces(word: str) -> list[str]:
    """The names that a word with braces stands for, as in a shell.

    >>> expand_braces("s3://x/{a,b}-{08..10}.tar")[:4]
    ['s3://x/a-08.tar', 's3://x/a-09.tar', 's3://x/a-10.tar', 's3://x/b-08.tar']
    """
    parts, choices, end = [], [], 0
    for match in BRACES.finditer(word):
        parts.append(word[end : match.start()])
        end = match.end()
        if match[3] is not None:
            choices.append(match[3].split(","))
        else:
            first, last = int(match[1]), int(match[2])
            step = 1 if last >= first else -1
            choices.append([str(number).zfill(len(match[1])) for number in range(first, last + step, step)])
    names = ["".join(a + b for a, b in zip(parts, chosen, strict=True)) for chosen in product(*choices)]
    return [name + word[end:] for name in names]


def _of_word(word: str, split: str) -> list[Shard]:
    if word.startswith("hf:") and not word.startswith("hf://"):
        return _of_dataset(word, split)
    if is_in_store(word):
        return _of_store(word)
    if os.path.isdir(word):
        return _of_folder(word)
    if has_magic(word) and not os.path.exists(word):
        matches = sorted(glob(word))
        if not matches:
            raise UserError(f"{word}: matches no file")
        return [shard for path in matches for shard in (_of_folder(path) if os.path.isdir(path) else _of_file(path))]
    return _of_file(word)


def _of_file(path: str) -> list[Shard]:
    if not os.path.exists(path):
        raise UserError(f"{path}: no such shard")
    kind = kind_of(path)
    if kind != "list":
        return [Shard(kind, os.path.abspath(path))]
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    shards = [shard for line in lines if line for name in expand_braces(line) for shard in _of_word(name, "")]
    if not shards:
        raise UserError(f"{path}: lists no shard")
    return shards


def kind_of(path: str) -> str:
    """Of a shard, by its name.

    Raises:
        UserError: it is none.
    """
    name = path.rsplit("/", 1)[-1].lower()
    if name.endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")):
        raise UserError(f"{path}: a compressed tar has to be read from its begin; unpack it to a .tar first: gunzip")
    kind = next((kind for suffix, kind in KINDS.items() if name.endswith(suffix)), "")
    if not kind:
        raise UserError(f"{path}: {EXPECTED}")
    return "shar" if kind == "cuts" and SHAR_CUTS.fullmatch(name) else kind


def _of_folder(folder: str) -> list[Shard]:
    """Its Shar files; or its Parquet files or tars, when there are none."""
    names = sorted(os.listdir(folder))
    cuts = [name for name in names if SHAR_CUTS.fullmatch(name)]
    chosen = cuts or [name for name in names if name.endswith((".tar", ".parquet"))]
    if not chosen:
        raise UserError(f"{folder}: no cuts.*.jsonl.gz, no .tar and no .parquet in this folder")
    return [Shard("shar" if cuts else kind_of(name), os.path.abspath(os.path.join(folder, name))) for name in chosen]


def _of_store(address: str) -> list[Shard]:
    matches = list_objects(address) if has_magic(address) else [address]
    if not matches:
        raise UserError(f"{address}: matches no object")
    shards = [Shard(kind_of(match), match) for match in matches]
    for shard in shards:
        try:
            find_object(shard.path)
        except FileNotFoundError:
            raise UserError(f"{shard.path}: no such shard") from None
        if shard.kind not in ("tar", "parquet"):
            raise UserError(f"{shard.path}: manifests are read from this machine; fetch it, its audio may stay there")
    return shards


def _of_dataset(word: str, split: str) -> list[Shard]:
    """The Parquet files of one split: of a folder of this machine, or of a dataset of the Hugging Face hub."""
    name = word.removeprefix("hf:")
    if os.path.isdir(name):
        paths = sorted(str(path) for path in Path(os.path.abspath(name)).rglob("*.parquet"))
    elif name.startswith((".", "/")) or name.count("/") != 1:
        raise UserError(
            f"{word}: no such folder; expected a folder with .parquet files, or <user>/<dataset> of the hub"
        )
    else:
        paths = list_objects(f"hf://datasets/{name}/**.parquet")
    if not paths:
        raise UserError(f"{word}: no .parquet in it")
    part = re.compile(rf"(?:^|/){re.escape(split)}(?=[-_./])")
    chosen = [path for path in paths if part.search(path[path.find(name) + len(name) :])]
    if not chosen:
        raise UserError(
            f"{word}: no Parquet file of the split '{split}' (--split) among {len(paths)}, such as {paths[0]}"
        )
    return [Shard("parquet", path) for path in chosen]
