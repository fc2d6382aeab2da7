"""Folders of transformers as they are published: precisions, processors, several files, missing keys; no program."""

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from espnet2.formats.foreign import import_model
from espnet2.formats.huggingface_folder import DEFAULTS
from espnet2.formats.safe_pickle import load_foreign
from espnet2.models.locate import fetch_repository, locate_model
from espnet2.tasks.config import load_config
from espnet2.utils.errors import UserError

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip


def write_theirs(folder: Path, kind: str = "Hubert", dtype: torch.dtype = torch.float32, **options: object) -> Path:
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **options})
    model = getattr(transformers, f"{kind}Model")(config).eval().to(dtype)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"do_normalize": true, "sampling_rate": 16000}')
    return folder


def frontend(folder: Path) -> tuple[str, int]:
    conf = load_config(folder / "config.yaml").frontend_conf
    return conf.normalize, conf.sample_rate


@pytest.mark.parametrize(("kind", "dtype"), [("Hubert", torch.float16), ("WavLM", torch.bfloat16)])
def test_half_precision(tmp_path, kind, dtype):
    card = import_model(write_theirs(tmp_path / "hf", kind, dtype), "huggingface", tmp_path / "ours")
    assert card["largest_difference"] < 1e-4
    assert all(value.dtype == torch.float32 for value in load_file(tmp_path / "ours/model.safetensors").values())


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("processor_config.json", {"feature_extractor": {"do_normalize": True, "sampling_rate": 8000}}, 8000),
        ("processor_config.json", {"feature_extractor": {"do_normalize": True}}, 16000),
        ("preprocessor_config.json", {"do_normalize": True, "sampling_rate": 8000}, 8000),
    ],
)
def test_the_scaling_is_what_the_processor_says(tmp_path, file, content, expected, capsys):
    theirs = write_theirs(tmp_path / "hf")
    (theirs / "preprocessor_config.json").unlink()
    content.get("feature_extractor", content)["feature_extractor_type"] = "Wav2Vec2FeatureExtractor"
    (theirs / file).write_text(json.dumps(content))
    import_model(theirs, "huggingface", tmp_path / "ours")
    assert frontend(tmp_path / "ours") == ("utterance", expected)
    assert "assumed" not in capsys.readouterr().err


@pytest.mark.parametrize(("norm", "expected"), [("layer", "utterance"), ("group", "none")])
def test_without_a_processor_the_assumption_is_said(tmp_path, norm, expected, capsys):
    theirs = write_theirs(tmp_path / "hf", feat_extract_norm=norm, do_stable_layer_norm=norm == "layer")
    (theirs / "preprocessor_config.json").unlink()
    import_model(theirs, "huggingface", tmp_path / "ours")
    assert frontend(tmp_path / "ours") == (expected, 16000)
    assert capsys.readouterr().err.count("assumed from the architecture") == 1


def shard(folder: Path, name: str = "model.safetensors") -> dict[str, str]:
    """Two files and their index in place of one; returns weight_map."""
    state, (stem, suffix) = load_file(folder / "model.safetensors"), name.split(".")
    places = {key: f"{stem}-{1 + number % 2:05d}-of-00002.{suffix}" for number, key in enumerate(sorted(state))}
    for file in set(places.values()):
        part = {key: value for key, value in state.items() if places[key] == file}
        if suffix == "safetensors":
            save_file(part, folder / file, {"format": "pt"})
        else:
            torch.save(part, folder / file)
    (folder / "model.safetensors").unlink()
    write_index(folder, places, name)
    return places


def write_index(folder: Path, places: object, name: str = "model.safetensors") -> None:
    (folder / f"{name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_in_several_files(tmp_path, name):
    theirs = write_theirs(tmp_path / "hf")
    import_model(theirs, "huggingface", tmp_path / "whole")
    shard(theirs, name)
    import_model(theirs, "huggingface", tmp_path / "ours")
    assert (tmp_path / "ours/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()
    missing = theirs / name.replace(".", "-00002-of-00002.")
    missing.rename(tmp_path / missing.name)
    with pytest.raises(UserError, match=rf"{missing.name} is missing; fetch all files of the model"):
        import_model(theirs, "huggingface", tmp_path / "half")
    (theirs / f"{name}.index.json").unlink()
    with pytest.raises(UserError, match=r"no model\.safetensors and no pytorch_model\.bin, nor an index of several"):
        import_model(theirs, "huggingface", tmp_path / "half")
    assert not (tmp_path / "half").exists()


def test_a_repository_of_pickles_in_several_files_is_fetched(tmp_path, monkeypatch):
    """The hub's client is given patterns of file names; weights without pickles are asked for first."""
    theirs, calls = write_theirs(tmp_path / "hf"), []
    shard(theirs, "pytorch_model.bin")
    (theirs / "training_args.bin").write_bytes(b"a program")

    def snapshot_download(repository: str, *, allow_patterns: list[str], **options: object) -> str:
        calls.append(repository)
        (tmp_path / "local").mkdir(exist_ok=True)
        for file in theirs.iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copy(file, tmp_path / "local")
        return str(tmp_path / "local")

    monkeypatch.setattr("espnet2.models.hub.import_hub", lambda: SimpleNamespace(snapshot_download=snapshot_download))
    import_model(fetch_repository("user/name"), "huggingface", tmp_path / "ours")
    assert len(calls) == 2 and not (tmp_path / "local/training_args.bin").exists()


def test_an_index_of_files_that_are_not_there_or_elsewhere(tmp_path):
    theirs = write_theirs(tmp_path / "hf")
    places = shard(theirs)
    name = sorted(places)[0]
    for wrong, message in (
        ({**places, name: "../model.safetensors"}, "no file of this folder"),
        ({**places, name: "model-3.safetensors"}, "is missing; fetch all files"),
        ({**places, "encoder.more": places[name]}, "encoder.more is missing"),
        ([], "no weight_map"),
    ):
        write_index(theirs, wrong)
        with pytest.raises(UserError, match=message):
            import_model(theirs, "huggingface", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_keys_that_the_config_lacks_have_the_values_of_transformers(tmp_path):
    for kind in ("Wav2Vec2", "Hubert", "WavLM", "Data2VecAudio", "Wav2Vec2Conformer"):
        config = getattr(transformers, f"{kind}Config")()
        assert {name: _plain(getattr(config, name)) for name in DEFAULTS} == DEFAULTS, kind
    theirs = write_theirs(tmp_path / "hf", conv_dim=[512] * 7)
    config = json.loads((theirs / "config.json").read_text())
    for name in ("conv_dim", "conv_kernel", "conv_stride", "feat_extract_norm", "conv_bias", "layer_norm_eps"):
        config.pop(name, None)
    (theirs / "config.json").write_text(json.dumps(config))
    import_model(theirs, "huggingface", tmp_path / "ours")
    for name, value in (("num_hidden_layers", "2"), ("conv_dim", 512), ("conv_kernel", [10]), ("hidden_size", None)):
        (theirs / "config.json").write_text(json.dumps({**config, name: value}))
        with pytest.raises(UserError, match=r"config.json"):
            import_model(theirs, "huggingface", tmp_path / "other")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_weights_that_are_no_numbers_are_not_imported(tmp_path):
    theirs = write_theirs(tmp_path / "hf")
    state = load_file(theirs / "model.safetensors")
    state[max(name for name in state if name.endswith("weight"))].view(-1)[0] = float("inf")
    save_file(state, theirs / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="nan or inf"):
        import_model(theirs, "huggingface", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


class Program(torch.nn.Module):
    """What torch.jit.save writes as code."""

    def forward(self, value: torch.Tensor) -> torch.Tensor:
        return value + 1


@pytest.mark.parametrize("origin", ["huggingface", "fairseq", "s3prl", None])
def test_a_torchscript_archive_is_refused_before_it_is_opened(tmp_path, origin, monkeypatch):
    monkeypatch.setenv("ESPNET2_SSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.jit, "load", lambda *words, **options: pytest.fail("it was run"))
    folder = write_theirs(tmp_path / "hf")
    (folder / "model.safetensors").unlink()
    file = folder / "pytorch_model.bin"
    torch.jit.script(Program()).save(file)
    path = folder if origin == "huggingface" else file
    with pytest.raises(UserError, match="TorchScript archive"):
        if origin is None:
            locate_model(file)
        else:
            import_model(path, origin, tmp_path / "ours")
    with pytest.raises(UserError, match="TorchScript"):
        load_foreign(file)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match="is it whole"):
        load_foreign(file)
