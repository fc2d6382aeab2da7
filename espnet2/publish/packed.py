"""exp/<name> in, a folder with all that the model needs elsewhere out: weights, config, units, token list, card."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from espnet2.models.find import ModelFiles
from espnet2.models.load import LoadedModel, load_model
from espnet2.models.packed_files import CARD
from espnet2.publish.card import (
    FORMAT_VERSION,
    README,
    describe_code,
    describe_data,
    describe_model,
    read_results,
    readme,
)
from espnet2.publish.card_json import CardJson, DescriptionJson, KMeansJson
from espnet2.publish.pack import pack_model
from espnet2.ssl.objective.base import LabelledConfig
from espnet2.tasks.portable import without_paths
from espnet2.units.card import KMeansCard, load_kmeans, read_card, save_kmeans
from espnet2.units.carried import FOLDER, carried_kmeans, is_of, model_hashes
from espnet2.utils.errors import UserError
from espnet2.utils.files import atomic_write, hash_file, write_json

FORMATS = ("huggingface", "torchaudio")  # forms of other libraries that are packed along, where there are any


@dataclass(frozen=True)
class PackOptions:
    """What goes into a packed model besides its weights."""

    name: str = ""  # of the model; empty: that of its experiment
    dtype: str = "fp32"  # of the weights: fp32 or fp16
    kmeans: Sequence[Path] = ()  # k-means folders, or folders of such: of these, the ones of this model's layers
    targets: Sequence[Path] = ()  # the k-means whose labels it was trained on, one for each label set
    token_list: Path | None = None
    train_sets: Sequence[str] = ()  # dump/<set>, for the card
    licence: str = ""
    formats: Sequence[str] = FORMATS


def pack_experiment(experiment: ModelFiles, output: str | Path, options: PackOptions) -> Path:
    """Write a packed model; no pickle, no absolute path, and `output` appears whole or not at all.

    Args:
        output: the folder; replaced where it is a packed model, refused where it is anything else.

    Raises:
        UserError: a model that does not load, a k-means of another model, or something else in the way.
    """
    output = Path(output)
    if output.exists() and not (output / CARD).is_file():
        raise UserError(f"{output}: is there and no packed model; remove it, or choose another folder")
    loaded = load_model(experiment)
    for targets in options.targets:
        _check_targets(targets, loaded)
    kmeans = _own_kmeans(experiment, options.kmeans)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
        folder = Path(scratch) / output.name
        folder.mkdir()
        pack_model(loaded, folder, dtype=options.dtype, with_teacher=None, max_megabytes=float("inf"))
        card: DescriptionJson = {
            "format_version": FORMAT_VERSION,
            "name": options.name or output.name,
            **describe_model(loaded),
            "code": describe_code(loaded),
            "dtype": options.dtype,
            "licence": options.licence,
            "data": describe_data(options.train_sets),
            "results": read_results(experiment.name),
            "kmeans": _copy_kmeans(folder, kmeans, options.targets),
            "formats": {name: _add_format(loaded, name, folder) for name in options.formats},
        }
        tokens = options.token_list
        if tokens is None and len(options.targets) == 1:  # those of several label sets lie with their k-means
            tokens = options.targets[0] / "tokens.txt"
        if tokens is not None:
            shutil.copyfile(tokens, folder / "tokens.txt")
        with atomic_write(folder / README) as stream:
            stream.write(readme(card))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        complete: CardJson = {
            **card,
            "files": {path.relative_to(folder).as_posix(): hash_file(path) for path in files},
        }
        write_json(folder / CARD, complete)
        if output.exists():
            output.rename(Path(scratch) / "before")
        folder.rename(output)
    return output


def _check_targets(targets: Path, loaded: LoadedModel) -> None:
    card = read_card(targets)
    if card is None:
        raise UserError(f"{targets}: no finished k-means there")
    confs = [entry.conf for entry in loaded.config.loss]
    classes = {conf.num_classes for conf in confs if isinstance(conf, LabelledConfig) and conf.num_classes}
    if classes and card.num_clusters not in classes:
        raise UserError(
            f"{targets}: has {card.num_clusters} clusters, but the model was trained on "
            f"{' or '.join(map(str, sorted(classes)))} classes; "
            "give the k-means of its labels"
        )


def _own_kmeans(experiment: ModelFiles, folders: Sequence[Path]) -> dict[str, Path]:
    """Name -> k-means of a layer of this model, from what lies with it and from the folders given.

    Raises:
        UserError: a k-means that was named itself is of another model.
    """
    hashes, kmeans = model_hashes(experiment), carried_kmeans(experiment)
    for folder in folders:
        card = read_card(folder)
        if card is not None and not is_of(card, hashes):
            raise UserError(
                f"{folder}: was learned on {card.source.describe()} with weights {card.teacher_hash or 'none'}, "
                f"the model has {' from '.join(hashes)}: its units are not of this model"
            )
        inside = {path: read_card(path) for path in ([folder] if card else sorted(folder.glob("*/")))}
        kmeans |= {path.name: path for path, card in inside.items() if card is not None and is_of(card, hashes)}
    return kmeans


def _copy_kmeans(folder: Path, kmeans: dict[str, Path], targets: Sequence[Path]) -> list[KMeansJson]:
    """Write the k-means into the packed folder, without paths of this machine; what the card says of them."""
    by_name = {path.resolve().name: path for path in targets}
    if len(by_name) < len({path.resolve() for path in targets}):
        raise UserError(
            f"--targets {' '.join(map(str, targets))}: two k-means folders have the same name and would lie in one "
            "place; give one of them another name"
        )
    chosen = {**by_name, **kmeans}
    described: list[KMeansJson] = []
    for name, path in chosen.items():
        centroids, card, projection = load_kmeans(path)
        portable = KMeansCard(**without_paths(asdict(card)))
        portable = replace(portable, train_sets=tuple(Path(train_set).name for train_set in portable.train_sets))
        portable = replace(portable, model=Path(card.model).name)
        written = save_kmeans(folder / FOLDER / name, centroids, portable, projection)
        assert written.hash == card.hash  # labels made with it elsewhere stay labels of this k-means
        of = written.source.describe()
        described.append(
            {"name": name, "own": name in kmeans, "num_clusters": card.num_clusters, "of": of, "hash": card.hash}
        )
    return described


def _add_format(loaded: LoadedModel, name: str, folder: Path) -> str | None:
    """Put another library's form into the packed folder; None, or why there is none."""
    from espnet2.publish.convert import export_model

    target = folder / name
    try:
        export_model(loaded, name, target)
    except UserError as error:
        return str(error)
    if not all(_as_safetensors(pickle) for pickle in target.glob("*.pt")):
        shutil.rmtree(target)
        return f"{name} is a pickle of more than weights, and archives carry none: ssl_export --to {name} makes it"
    return None


def _as_safetensors(path: Path) -> bool:
    """A state dict that torch saved, without the pickle around it; False where the file holds anything else."""
    import torch
    from safetensors.torch import save_file

    state = torch.load(path, weights_only=True)
    if not all(isinstance(value, torch.Tensor) for value in state.values()):
        return False
    save_file({name: value.contiguous() for name, value in state.items()}, path.with_suffix(".safetensors"))
    path.unlink()
    return True
