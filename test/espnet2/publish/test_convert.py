"""Tiny models in; conversions that agree with the other library, round trips to the last bit, refusals out."""

import json

import pytest
import tiny_model
import torch
from export_cases import LARGE, STACK, read_card, same_weights, write_random
from safetensors.torch import load_file, save_file
from tiny_units import run_program
from trained import load_path

from espnet2.formats.foreign import import_foreign, import_model
from espnet2.publish.convert import export_model
from espnet2.ssl.objective import objective_names
from espnet2.utils.errors import UserError

WEIGHTS = "checkpoints/latest/model.safetensors"
HEADS = ("head.label_embeddings", "head.projection.weight", "head.projection.bias")
PLAIN_POSITION = {"encoder_conf": {"position_weight_norm": False}}
# Library, objective, options of the model, and which weights the format does not hold, by their ends.
ROUND_TRIPS = [
    ("huggingface", "hubert", {}, HEADS),
    ("huggingface", "hubert", LARGE, HEADS),
    ("huggingface", "wav2vec2", {}, ()),
    ("huggingface", "wavlm", {}, HEADS),
    ("torchaudio", "hubert", LARGE, (*HEADS, "mask_embedding")),
    ("torchaudio", "wavlm", {}, (*HEADS, "mask_embedding")),
    ("fairseq", "hubert", {}, ()),
    ("fairseq", "wav2vec2", LARGE, ()),
    ("fairseq", "wavlm", {}, HEADS),
    ("s3prl", "hubert", LARGE, ()),
    ("s3prl", "wav2vec2", {}, ()),
    ("s3prl", "wavlm", LARGE, HEADS),
]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(("library", "objective", "options", "left_out"), ROUND_TRIPS)
def test_there_and_back_to_the_last_bit(tmp_path, library, objective, options, left_out):
    experiment = write_random(tmp_path / "exp", objective, **options)
    card = export_model(load_path(experiment), library, tmp_path / "out")
    assert card == read_card(tmp_path / "out") and card["largest_difference"] < 1e-5
    assert sorted(card["weights_left_out"]) == sorted(f"objective.{name}" for name in left_out)
    assert card["layers_compared"][-1] == "last" and 1 in card["layers_compared"]
    scaled = bool(options)
    assert card["waveform_normalisation"].startswith("every utterance" if scaled else "none")
    written = tmp_path / "out"
    back = import_foreign(written / "model.pt" if library in ("fairseq", "s3prl") else written, tmp_path / "back")
    assert back["largest_difference"] < 1e-5 and back["objective"] == objective
    # WavLM's file is Microsoft's own, which both toolkits read.
    assert back["format"] == ("fairseq" if library == "s3prl" and objective == "wavlm" else library)
    _, other = same_weights(experiment / WEIGHTS, tmp_path / "back/model.safetensors")
    assert other == {f"objectives.{objective}.{name}" for name in left_out} == set(back["weights_new_and_random"])


@pytest.mark.parametrize("library", ["huggingface", "fairseq"])
def test_positions_without_weight_norm(tmp_path, library):
    """Lengths and directions of the plain kernel are the same function; a dead kernel position stays dead."""
    experiment = write_random(tmp_path / "exp", **PLAIN_POSITION)
    weights = load_file(experiment / WEIGHTS)
    weights["encoder.position.conv.weight"][:, :, 3] = 0
    save_file(weights, (experiment / WEIGHTS).resolve())
    assert export_model(load_path(experiment), library, tmp_path / "out")["largest_difference"] < 1e-5
    assert import_model(tmp_path / "out", library, tmp_path / "back")["largest_difference"] < 1e-5


@pytest.mark.parametrize("library", ["huggingface", "fairseq", "s3prl"])
def test_data2vec_with_a_stack_of_positions(tmp_path, library):
    """The encoder of data2vec 1: what trained it here was HuBERT."""
    experiment = write_random(tmp_path / "exp", "hubert", **STACK)
    assert export_model(load_path(experiment), library, tmp_path / "out")["largest_difference"] < 1e-5
    card = import_model(tmp_path / "out", library, tmp_path / "back")
    assert card["objective"] == "data2vec2" and card["largest_difference"] < 1e-5
    _, other = same_weights(experiment / WEIGHTS, tmp_path / "back/model.safetensors")
    assert all(name.startswith("objectives.") for name in other)


@pytest.mark.parametrize("learned", [False, True])
def test_data2vec_2_has_a_form_in_fairseq_only(tmp_path, learned):
    experiment = write_random(
        tmp_path / "exp", "data2vec2", frontend_conf={"norm": "layer"}, encoder_conf={"alibi_learned_scale": learned}
    )
    assert export_model(load_path(experiment), "fairseq", tmp_path / "out")["largest_difference"] < 1e-5
    assert import_model(tmp_path / "out", "fairseq", tmp_path / "back")["largest_difference"] < 1e-5
    _, other = same_weights(experiment / WEIGHTS, tmp_path / "back/model.safetensors")
    assert all(name.startswith("objectives.") for name in other)
    for library in ("huggingface", "torchaudio", "s3prl"):
        with pytest.raises(UserError, match=r"no form in .*attention_position: alibi"):
            export_model(load_path(experiment), library, tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("objective", ["wav2vec2", "w2v_bert"])
def test_conformers_with_batch_norm(tmp_path, monkeypatch, objective):
    """transformers' class has one more LayerNorm at the end, which takes over the last block's."""
    conf = {"conv_norm": "batch", "conv_bias": False, "position": "none", "attention_position": "relative"}
    monkeypatch.setitem(tiny_model.TINY_PARTS, objective, {"encoder": "conformer", "encoder_conf": conf})
    experiment = write_random(tmp_path / "exp", objective)
    assert export_model(load_path(experiment), "huggingface", tmp_path / "out")["largest_difference"] < 1e-4
    assert import_model(tmp_path / "out", "huggingface", tmp_path / "back")["largest_difference"] < 1e-4
    _, other = same_weights(experiment / WEIGHTS, tmp_path / "back/model.safetensors")
    assert all(name.startswith("objectives.") for name in other)
    with pytest.raises(UserError, match="encoder: conformer with position: none and attention_position: relative"):
        export_model(load_path(experiment), "fairseq", tmp_path / "no")


def test_the_usual_w2v_bert_has_no_form_elsewhere(tmp_path, monkeypatch):
    conf = {"position": "none", "attention_position": "relative"}
    monkeypatch.setitem(tiny_model.TINY_PARTS, "w2v_bert", {"encoder": "conformer", "encoder_conf": conf})
    experiment = write_random(tmp_path / "exp", "w2v_bert")
    with pytest.raises(UserError, match="conv_norm: layer; encoder_conf: conv_bias: true"):
        export_model(load_path(experiment), "huggingface", tmp_path / "out")


def test_blocks_of_data2vec_2_before_all_modalities(tmp_path):
    """Published files keep the first blocks in the audio encoder."""
    experiment = write_random(tmp_path / "exp", "data2vec2", frontend_conf={"norm": "layer"})
    export_model(load_path(experiment), "fairseq", tmp_path / "out")
    content = torch.load(tmp_path / "out/model.pt", weights_only=True)
    audio = "modality_encoders.AUDIO"
    content["cfg"]["model"]["modalities"]["audio"]["prenet_depth"] = 1
    content["cfg"]["model"]["depth"] = 1
    moved = {"blocks.0.": f"{audio}.context_encoder.blocks.0.", "blocks.1.": "blocks.0."}
    content["model"] = {
        next((new + name.removeprefix(old) for old, new in moved.items() if name.startswith(old)), name): value
        for name, value in content["model"].items()
    }
    torch.save(content, tmp_path / "published.pt")
    import_model(tmp_path / "published.pt", "fairseq", tmp_path / "back")
    _, other = same_weights(experiment / WEIGHTS, tmp_path / "back/model.safetensors")
    assert all(name.startswith("objectives.") for name in other)


@pytest.mark.parametrize(
    ("options", "library", "said"),
    [
        ({"frontend": "fbank"}, "huggingface", "frontend: fbank"),
        ({"frontend": "fbank"}, "torchaudio", "frontend: fbank"),
        (STACK | {"encoder_conf": STACK["encoder_conf"] | {"position_kernel": 2}}, "fairseq", "position_kernel: 2"),
        (STACK | {"encoder_conf": STACK["encoder_conf"] | {"norm": "pre"}}, "huggingface", "norm: pre"),
        ({"encoder_conf": {"long_skips": True}}, "torchaudio", "long_skips: true"),
        ({"conf": {"num_codebooks": 2}}, "fairseq", "num_codebooks: 2"),
        ({"conf": {"num_codebooks": 2}, "frontend": "fbank"}, "torchaudio", "frontend: fbank .*num_codebooks: 2"),
        ({"encoder_conf": {"position": "none"}}, "s3prl", "position: none"),
        ({"encoder_conf": {"dim": 12}}, "fairseq", "channels equal to encoder_conf: dim"),
    ],
)
def test_what_has_no_form_is_named(tmp_path, options, library, said):
    experiment = write_random(tmp_path / "exp", **options)
    with pytest.raises(UserError, match=f"this architecture has no form in .*{said}"):
        export_model(load_path(experiment), library, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize("objective", objective_names())
def test_any_model_has_a_form_in_safetensors(tmp_path, objective):
    """SpeechFlow's too, whose encoder does not read the frames of its frontend alone."""
    experiment = write_random(tmp_path / "exp", objective, frontend="fbank")
    card = export_model(load_path(experiment), "safetensors", tmp_path / "out")
    assert card["largest_difference"] == 0
    same, other = same_weights(experiment / WEIGHTS, tmp_path / "out/model.safetensors")
    assert same and sorted(other) == card["weights_left_out"]


def test_sides_that_differ_are_refused_and_nothing_is_left(tmp_path, monkeypatch):
    from espnet2.formats import names

    ours, theirs = "encoder.blocks.*.attention", "encoder.transformer.layers.*.attention"
    monkeypatch.setitem(names.TORCHAUDIO, f"{ours}.key", f"{theirs}.q_proj")
    monkeypatch.setitem(names.TORCHAUDIO, f"{ours}.query", f"{theirs}.k_proj")
    experiment = write_random(tmp_path / "exp")
    with pytest.raises(UserError, match=r"differ by .* at most 0\.0001 is allowed"):
        export_model(load_path(experiment), "torchaudio", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp"]


def test_the_programs_say_what_they_did(tmp_path, capsys):
    experiment = write_random(tmp_path / "exp")
    run_program("ssl_export", "--model", experiment, "--to", "fairseq", "--output", tmp_path / "out")
    assert "the largest difference is" in capsys.readouterr().out
    assert (tmp_path / "out/dict.km.txt").read_text() == "".join(f"{label} 1\n" for label in range(7))
    run_program("ssl_import", "--from", "fairseq", tmp_path / "out/model.pt", "--output", tmp_path / "imported")
    assert (tmp_path / "imported/config.yaml").is_file()
    with pytest.raises(UserError, match="is there already"):
        run_program("ssl_import", "--from", "fairseq", tmp_path / "out/model.pt", "--output", tmp_path / "imported")
    with pytest.raises(UserError, match="no such file or folder"):
        run_program("ssl_import", "--from", "s3prl", tmp_path / "nothing", "--output", tmp_path / "x")


def test_the_card_names_the_training_data(tmp_path):
    experiment = write_random(tmp_path / "exp")
    state = experiment / "checkpoints/update_1/state"
    state.mkdir()
    (state / "training.json").write_text(json.dumps({"identity": {"data": {"train_sets": "0123"}}}))
    assert export_model(load_path(experiment), "safetensors", tmp_path / "out")["training_data"] == {
        "train_sets": "0123"
    }


def test_a_method_that_makes_its_own_input_has_no_graph(tmp_path):
    experiment = write_random(tmp_path / "exp", "speechflow", frontend="fbank")
    with pytest.raises(UserError, match=r"no form in ONNX: frontend_conf: project: false .* loss: speechflow"):
        export_model(load_path(experiment), "onnx", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_onnx_graph_takes_any_length(tmp_path):
    pytest.importorskip("onnxscript")
    experiment = write_random(tmp_path / "exp", "wavlm", **LARGE)
    card = export_model(load_path(experiment), "onnx", tmp_path / "out")
    assert card["largest_difference"] < 1e-4 and len(set(card["sounds_samples"])) == 3
