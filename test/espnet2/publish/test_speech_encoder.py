"""Trained models in folders, archives and repositories in; the same layers and units as `extract` out, or a refusal."""

import subprocess
import sys

import pytest
import torch
from tiny_packed import write_kmeans
from tiny_units import write_experiment
from trained import load_path

from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.ssl.objective import objective_names
from espnet2.units.kmeans import assign
from espnet2.utils.errors import UserError

LENGTHS = torch.tensor([12000, 9000])


def noise(rows: int = 2, samples: int = 12000) -> torch.Tensor:
    return 0.1 * torch.randn(rows, samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("objective", objective_names())
def test_all_layers_are_those_of_extract(tmp_path, objective):
    experiment = write_experiment(tmp_path / "exp", objective)
    encoder = SpeechEncoder.from_pretrained(experiment)
    output = encoder(noise(), LENGTHS, sample_rate=16000)
    assert len(output.layers) == encoder.num_layers + 1
    wavs = noise().masked_fill(torch.arange(12000) >= LENGTHS[:, None], 0)
    expected, frames = load_path(experiment).model.first.extract(wavs, LENGTHS, [0, 1, 2])
    assert torch.equal(output.lengths, frames)
    for layer_output, layer in zip(output.layers, expected, strict=True):
        for row, count in enumerate(frames.tolist()):
            assert layer_output.shape[2] == encoder.dim and layer_output.dtype == torch.float32
            torch.testing.assert_close(layer_output[row, :count], layer[row, :count])
    (top,) = encoder(noise(), LENGTHS, layers=[2]).layers
    torch.testing.assert_close(top, output.layers[2])
    assert not top.requires_grad


@pytest.mark.parametrize("objective", ["hubert", "best_rq"])
def test_what_lies_behind_the_end_changes_nothing(tmp_path, objective):
    encoder = SpeechEncoder.from_pretrained(write_experiment(tmp_path / "exp", objective, frontend="conv"))
    alone = encoder(noise()[1, :9000])
    together = encoder(noise(), LENGTHS)
    for one, both in zip(alone.layers, together.layers, strict=True):
        torch.testing.assert_close(one[0], both[1, : int(together.lengths[1])], rtol=1e-4, atol=1e-5)


def test_the_waveform_is_scaled_as_in_training(tmp_path):
    experiment = write_experiment(tmp_path / "exp", frontend="conv", frontend_conf={"normalize": "utterance"})
    encoder = SpeechEncoder.from_pretrained(experiment)
    loud = encoder(10 * noise() + 0.1, LENGTHS)
    torch.testing.assert_close(loud.layers[2], encoder(noise(), LENGTHS).layers[2], rtol=1e-2, atol=1e-2)
    wav = noise()[0]
    scaled = (wav - wav.mean()) / (wav.var(correction=0) + 1e-5).sqrt()
    expected = load_path(experiment).model.first.extract(scaled[None], torch.tensor([12000]), [2])[0][0]
    torch.testing.assert_close(encoder(wav).layers[2], expected)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"sample_rate": 8000}, "was trained at 16000 Hz, the audio has 8000 Hz; resample it first"),
        ({"layers": [3]}, "has no layer 3"),
        ({"lengths": torch.tensor([12000])}, "expected 2 numbers of samples"),
        ({"lengths": torch.tensor([12000, 13000])}, "to 12000"),
        ({"lengths": torch.tensor([12000, 10])}, "(one frame)"),
        ({"wavs": torch.zeros(2, 12000, dtype=torch.int16)}, "expected float samples in"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused(tmp_path, words, message):
    encoder = SpeechEncoder.from_pretrained(write_experiment(tmp_path / "exp"))
    with pytest.raises(UserError) as error:
        encoder(**{"wavs": noise(), **words})
    assert message in str(error.value)


def test_units_of_a_kmeans_that_lies_with_the_model(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    write_kmeans(experiment / "kmeans/l2_km4", experiment)
    write_kmeans(experiment / "kmeans/targets", experiment, teacher_hash="of another model")
    encoder = SpeechEncoder.from_pretrained(experiment)
    assert encoder.unit_sources == ("l2_km4",)
    units = encoder.units(noise(), LENGTHS, sample_rate=16000)
    output = encoder(noise(), LENGTHS)
    centroids = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
    for row, count in enumerate(output.lengths.tolist()):
        assert torch.equal(units.ids[row, :count], assign(output.layers[2][row, :count], centroids))
        assert (units.ids[row, count:] == -1).all()
    assert units.source == "l2_km4" and torch.equal(units.lengths, output.lengths)


def test_kmeans_of_another_model_is_refused(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    other = write_kmeans(tmp_path / "km", experiment, teacher_hash="0123")
    with pytest.raises(UserError, match=r"was learned on layer 2 .* with weights 0123, but .*exp has"):
        SpeechEncoder.from_pretrained(experiment, kmeans=other)
    kmeans = write_kmeans(tmp_path / "own", experiment)
    assert SpeechEncoder.from_pretrained(experiment, kmeans=kmeans).unit_sources == ("own",)


@pytest.mark.parametrize("objective", ["dinosr", "wav2vec2"])
def test_units_of_codebooks(tmp_path, objective):
    experiment = write_experiment(tmp_path / "exp", objective)
    encoder = SpeechEncoder.from_pretrained(experiment)
    wavs = noise().masked_fill(torch.arange(12000) >= LENGTHS[:, None], 0)
    codes = load_path(experiment).model.first.codes(wavs, LENGTHS)
    assert encoder.unit_sources == tuple(f"codes_{number}" for number in codes.codes)
    units = encoder.units(noise(), LENGTHS, source=encoder.unit_sources[-1])
    assert torch.equal(units.ids, list(codes.codes.values())[-1])


def test_a_model_without_units_says_so(tmp_path):
    encoder = SpeechEncoder.from_pretrained(write_experiment(tmp_path / "exp"))
    with pytest.raises(UserError, match="has no units; give a k-means of one of its layers"):
        encoder.units(noise())


def test_missing_and_damaged_models(tmp_path):
    with pytest.raises(UserError, match="no trained model there"):
        SpeechEncoder.from_pretrained(tmp_path / "nowhere")
    experiment = write_experiment(tmp_path / "exp")
    weights = experiment / "checkpoints/update_1/model.safetensors"
    data = weights.read_bytes()
    for damaged in (data[: len(data) // 2], data[:100], b"\xff" * 8 + data[8:], b""):  # cut short; a giant header
        weights.write_bytes(damaged)
        with pytest.raises(UserError, match="no whole safetensors file"):
            SpeechEncoder.from_pretrained(experiment)


def test_a_config_runs_no_code(tmp_path):
    experiment = write_experiment(tmp_path / "exp")
    config = experiment / "config.yaml"
    config.write_text(f"seed: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n" + config.read_text())
    with pytest.raises(UserError, match="not valid YAML"):
        SpeechEncoder.from_pretrained(experiment)
    assert not (tmp_path / "made").exists()


def test_the_package_loads_no_torch_before_a_model_is_asked_for():
    program = "import sys, espnet2.ssl; assert 'torch' not in sys.modules; espnet2.ssl.SpeechEncoder; "
    program += "heavy = {'transformers', 'sklearn', 'matplotlib', 'huggingface_hub', 'torchaudio', 'tensorboard'}; "
    program += "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
