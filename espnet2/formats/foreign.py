"""A file or folder of another toolkit in, exp/<name> that `load_model` reads out, with a card of the difference."""

import sys
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file

from espnet2.formats import find_reader, reader_names
from espnet2.formats.compare import largest_difference
from espnet2.formats.conversion import CARD, ImportJson, describe, new_folder
from espnet2.formats.forms import Source
from espnet2.formats.incoming import build_imported
from espnet2.formats.refused import refuse_known
from espnet2.formats.safe_pickle import load_foreign
from espnet2.tasks.config import dump_config
from espnet2.tasks.numbers import check_numbers
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file, write_json


def import_model(path: str | Path, origin: str, output: str | Path, *, name: str | None = None) -> ImportJson:
    """Make a model of ours from a foreign one: config.yaml and model.safetensors.

    Args:
        path: a file or folder of the foreign toolkit.
        origin: one of `reader_names`.
        output: a folder that is not there yet.
        name: what to call the model in its card; None takes the folder's name.

    Returns:
        The card, as it stands in <output>/conversion.json.

    Raises:
        UserError: the file is missing, damaged or of another kind, has an architecture without a form here, or the
            hidden layers of both sides differ.
    """
    path, reader = Path(path), find_reader(origin)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    refuse_known(path)
    foreign = reader.read(path)
    check_numbers(foreign.weights, path)
    for note in foreign.notes:
        print(note, file=sys.stderr)
    imported = build_imported(foreign, path)
    with new_folder(output) as folder:
        state = imported.model.state_dict()
        weights = folder / "model.safetensors"
        save_file({key: value.contiguous() for key, value in state.items()}, weights)
        (folder / "config.yaml").write_text(dump_config(imported.config), encoding="utf-8")
        source = Source(name or Path(output).name, imported.model, imported.config, hash_file(weights))
        card: ImportJson = {
            **describe(source, origin, reader),
            **largest_difference(imported.model, reader.run(path)),
            "weights_left_out": sorted(foreign.left_out),
            "weights_new_and_random": imported.new_weights,
        }
        write_json(folder / CARD, card)
    return card


def import_foreign(path: str | Path, output: str | Path, *, name: str | None = None) -> ImportJson:
    """As `import_model`, for a file that has to say itself which toolkit it comes from.

    Raises:
        UserError: as `import_model`, or no toolkit is known to write such a file.
    """
    return import_model(path, guess_origin(path), output, name=name)


def guess_origin(path: str | Path) -> str:
    """The toolkit that wrote a file or folder.

    Raises:
        UserError: none that is known.
    """
    path = Path(path)
    refuse_known(path)
    content = None if path.is_dir() else load_foreign(path)
    keys = {str(key) for key in content} if isinstance(content, Mapping) else set()
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        keys |= {f"model.{key}" for key in content["model"]}
    refuse_known(path, keys)
    readers = {name: find_reader(name) for name in reader_names()}
    for name, reader in sorted(readers.items(), key=lambda item: item[1].order):
        if reader.recognises(path, keys):
            return name
    known = ", ".join(readers)
    raise UserError(f"{path}: not known whose file this is; import it with ssl_import --from one of {known}")
