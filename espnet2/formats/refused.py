"""Models of other toolkits that have no form here: by which sign they are known, and why they are refused."""

import tarfile
from collections.abc import Set
from pathlib import Path

import yaml

from espnet2.utils.errors import UserError

NEMO_CONFIG = "model_config.yaml"  # of NeMo's archives
LARGEST_CONFIG = 2**20  # bytes
WENET_KEY = "encoder_top_n_out"  # the heads of BEST-RQ and w2v-BERT in WeNet (wenet/ssl)
SPEECHBRAIN_FILES = ("CKPT.yaml", "hyperparams.yaml")  # of a checkpoint, of a folder for its `from_hparams`
INSTEAD = "doc/export.md lists what can be imported"


def refuse_known(path: Path, keys: Set[str] = frozenset()) -> None:
    """Pass whatever is not known to be without a form.

    Args:
        keys: at the top of a file's content.

    Raises:
        UserError: a model of NeMo, SpeechBrain or WeNet.
    """
    if path.is_file() and (path.suffix == ".nemo" or tarfile.is_tarfile(path)) and (target := _nemo_target(path)):
        raise UserError(
            f"{path}: {target}, a model of NeMo, has no form here: its FastConformer subsamples mel frames by 8 with "
            f"depthwise convolutions, which no frontend here does; {INSTEAD}"
        )
    if path.is_dir() and any((path / name).is_file() for name in SPEECHBRAIN_FILES):
        raise UserError(
            f"{path}: a model of SpeechBrain has no form here: its architecture is code that hyperparams.yaml names, "
            f"not a description; {INSTEAD}"
        )
    if any(key.removeprefix("model.") == WENET_KEY for key in keys):
        raise UserError(
            f"{path}: a model of WeNet (BEST-RQ or w2v-BERT) has no form here: its mel has global statistics and its "
            f"convolutions subsample with padding; {INSTEAD}"
        )


def _nemo_target(path: Path) -> str:
    """The class that an archive of NeMo names; empty where it is none, and nothing in it is imported or run."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if Path(member.name).name == NEMO_CONFIG and member.isfile() and member.size <= LARGEST_CONFIG:
                    stream = archive.extractfile(member)
                    config = yaml.safe_load(stream.read()) if stream else None
                    target = config.get("target") if isinstance(config, dict) else None
                    return str(target or "a .nemo file").rsplit(".", 1)[-1]
    except (tarfile.TarError, OSError, EOFError, yaml.YAMLError, UnicodeDecodeError):
        pass
    return "a .nemo file" if path.suffix == ".nemo" else ""
