"""The card of a trained model, as JSON and as a README: config, data, figures and units."""

from collections.abc import Sequence
from pathlib import Path

from espnet2.data.index import UNKNOWN_LANGUAGE, AudioIndex
from espnet2.models.load import LoadedModel
from espnet2.models.locate import HUB
from espnet2.publish.card_json import (
    CodeOfModel,
    CodeState,
    DataJson,
    DataSetJson,
    DescriptionJson,
    Figures,
    ModelJson,
)
from espnet2.tasks.build import count_parameters
from espnet2.tasks.portable import without_paths
from espnet2.utils.files import read_json
from espnet2.utils.provenance import Code, current_code, distinct_codes, read_starts
from espnet2.utils.show import table_row

FORMAT_VERSION = 1
README = "README.md"
NO_LICENCE = "other"  # Hugging Face's word where none of its list is meant
RESIDUAL = "layer l (from 1) is the full output of block l: after its residual and, in post-norm blocks, after its norm"
FIGURES = ("phone_purity", "cluster_purity", "pnmi", "bitrate", "abx", "error_rate", "accuracy", "loss")
HOUR_SECONDS = 3600


def describe_model(loaded: LoadedModel) -> ModelJson:
    """Architecture, conventions, and how long it was trained."""
    model, config = loaded.model, loaded.config
    frontend, encoder = model.frontend, model.encoder
    weights = loaded.files.weights.resolve()
    scaling = {"none": "none: samples between -1 and 1", "utterance": "each utterance to zero mean and unit variance"}
    return {
        "objectives": [entry.name for entry in config.loss],
        "frontend": config.frontend,
        "encoder": config.encoder,
        "num_layers": encoder.num_layers,
        "dim": encoder.dim,
        "num_parameters": count_parameters(frontend) + count_parameters(encoder),
        "sample_rate": frontend.geometry.sample_rate,
        "frame_rate": frontend.geometry.frame_rate,
        "waveform_normalisation": scaling[frontend.normalize],
        "layer_numbering": "layers[l] is layer l; layers[0] is the input of the first block, after positions",
        "residual_convention": RESIDUAL,
        "checkpoint": weights.parent.name if weights.parent.parent.name == "checkpoints" else loaded.files.tag,
        "weights_hash": loaded.hash,
        "updates": _updates(weights),
        "initialised_from": [_name(source) for source in (config.init_from, *config.init_param) if source],
    }


def _name(source: str) -> str:
    """Of a model, without the folders it lay in; a repository's name stays whole."""
    return source if source.startswith(HUB) else Path(source.split(":")[0]).name


def _updates(weights: Path) -> int | None:
    """Optimizer steps behind a checkpoint: in its name, or what the finished run says."""
    name = weights.parent.name
    if name.startswith("update_"):
        return int(name.removeprefix("update_"))
    done = read_json(weights.parents[2] / "train.done") if len(weights.parents) > 2 else None
    return None if done is None else done.get("updates")


def describe_code(loaded: LoadedModel) -> CodeOfModel:
    """Which code trained a model, from its first start to its last, and which packs it; no host, path or command."""
    starts = read_starts(loaded.files.config_file.parent)
    return {
        "trained_by": [_code(code) for code in distinct_codes(starts)],
        "trained_with": dict(starts[-1].libraries) if starts else {},
        "packed_by": _code(current_code()),
    }


def _code(code: Code) -> CodeState:
    return {"version": code.version, "commit": code.commit, "changes": code.changes}


def describe_data(train_sets: Sequence[str | Path]) -> DataJson:
    """Sets, hours and languages.

    Raises:
        UserError: a set has no index.
    """
    sets: list[DataSetJson] = []
    languages: set[str] = set()
    for path in train_sets:
        index = AudioIndex.open(path)
        hours = index.total_samples / index.sample_rate / HOUR_SECONDS
        sets.append({"name": Path(path).name, "utterances": len(index), "hours": round(hours, 3)})
        languages |= set(index.languages) - {UNKNOWN_LANGUAGE}
    return {"sets": sets, "hours": round(sum(part["hours"] for part in sets), 3), "languages": sorted(languages)}


def read_results(experiment: str | Path) -> list[Figures]:
    """The rows of exp/<name>/eval/*.json: part, system, layer, and the figures that are plain numbers."""
    rows: list[Figures] = []
    for path in sorted((Path(experiment) / "eval").glob("*.json")):
        listed = (read_json(path) or {}).get("rows", [])
        for row in (row for row in listed if isinstance(row, dict)):
            figures = row | row.get("valid", {})  # some parts measure on both sets
            numbers = {key: value for key, value in figures.items() if isinstance(value, int | float) and key != "seed"}
            system = row.get("system") or row.get("name") or row.get("kind") or ""
            rows.append(without_paths({"part": path.stem, "system": system, **numbers}))
    return rows


def readme(card: DescriptionJson) -> str:
    """The card for people; its first lines are Hugging Face's own fields."""
    licence = card["licence"] or NO_LICENCE
    head = ["---", f"license: {licence}", "library_name: espnet2-ssl", "pipeline_tag: feature-extraction"]
    head += [f"language: [{', '.join(card['data']['languages'])}]"] if card["data"]["languages"] else []
    head += ["tags: [audio, speech, self-supervised, " + ", ".join(card["objectives"]) + "]", "---"]
    parts = [
        "\n".join(head),
        f"# {card['name']}\n\n{_summary(card)}",
        f"## Data\n\n{_data(card)}",
        f"## Results\n\n{_results(card['results'])}",
        f"## Use\n\n{_use(card)}",
        "## Licence\n\n" + (card["licence"] or "Not stated by who packed it: ask before you use or share it."),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(card: DescriptionJson) -> str:
    updates = f"{card['updates']:,} updates" if card["updates"] is not None else "an unknown number of updates"
    start = f", starting from {', '.join(card['initialised_from'])}" if card["initialised_from"] else ""
    trained = "; then ".join(Code(**code).describe() for code in card["code"]["trained_by"]) or "not known"
    return (
        f"A {card['encoder']} of {card['num_layers']} layers of {card['dim']} values on a {card['frontend']} frontend "
        f"({card['num_parameters'] / 1e6:.1f} M parameters), pre-trained with {' and '.join(card['objectives'])} for "
        f"{updates}{start}.\n\n"
        f"* Audio: {card['sample_rate']} Hz, one channel; scaling: {card['waveform_normalisation']}.\n"
        f"* Frames: {card['frame_rate']:g} per second.\n"
        f"* Layers: {card['layer_numbering']}; {card['residual_convention']}.\n"
        f"* Code that trained it: {trained}."
    )


def _data(card: DescriptionJson) -> str:
    sets = [
        f"* {part['name']}: {part['utterances']:,} utterances, {part['hours']:.2f} hours"
        for part in card["data"]["sets"]
    ]
    lines = sets or ["Not stated."]
    for kmeans in card["kmeans"]:
        role = "units of this model" if kmeans["own"] else "training targets"
        lines.append(f"* kmeans/{kmeans['name']} ({role}): {kmeans['num_clusters']} clusters of {kmeans['of']}")
    return "\n".join(lines)


def _results(rows: Sequence[Figures]) -> str:
    figures = [name for name in FIGURES if any(name in row for row in rows)]
    if not figures:
        return "None were measured."
    lines = [table_row(["system", "part", "layer", *figures]), "|---" * (3 + len(figures)) + "|"]
    for row in rows:
        values = [f"{row[name]:.4g}" if name in row else "" for name in figures]
        lines.append(table_row([row["system"], row["part"], row.get("layer", ""), *values]))
    return "\n".join(lines)


def _use(card: DescriptionJson) -> str:
    """Three libraries."""
    rate, name = card["sample_rate"], card["name"]
    ours = f"""espnet2-ssl (layers, and units where there are any):

```python
from espnet2.ssl import SpeechEncoder
encoder = SpeechEncoder.from_pretrained("{name}.tar.gz")  # or this folder, or "hf:<user>/{name}"
output = encoder(wavs, lengths, sample_rate={rate})  # output.layers[l]: (batch, frames, {card["dim"]}); output.lengths
```"""
    return "\n\n".join([ours, _transformers(card), _torchaudio(card)])


def _transformers(card: DescriptionJson) -> str:
    problem = card["formats"].get("huggingface")
    if problem is not None:
        return f"transformers: {problem}"
    return f"""transformers (the folder `huggingface`):

```python
from transformers import AutoFeatureExtractor, AutoModel
folder = "{card["name"]}/huggingface"  # of the Hub: "<user>/{card["name"]}", subfolder="huggingface"
inputs = AutoFeatureExtractor.from_pretrained(folder)(audio, sampling_rate={card["sample_rate"]}, return_tensors="pt")
hidden = AutoModel.from_pretrained(folder)(**inputs, output_hidden_states=True).hidden_states
```"""


def _torchaudio(card: DescriptionJson) -> str:
    problem = card["formats"].get("torchaudio")
    if problem is not None:
        return f"torchaudio: {problem}"
    return """torchaudio (the folder `torchaudio`):

```python
import json, torchaudio
from safetensors.torch import load_file
about = json.load(open("torchaudio/kwargs.json"))
model = getattr(torchaudio.models, about["factory"])(**about["kwargs"]).eval()
model.load_state_dict(load_file("torchaudio/model.safetensors"))
layers, lengths = model.extract_features(wavs, lengths)  # layers[l - 1] is layer l
```"""
