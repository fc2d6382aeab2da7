"""K-means of joined, normalised, whitened, smoothed features: learned, kept, refused, and alike for all who use it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from kmeans_programs import label, learn
from safetensors.torch import load_file, save_file
from tiny_packed import write_kmeans
from tiny_units import run_program, write_experiment

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.waveform import load_wav
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.units.card import load_kmeans, read_card
from espnet2.units.features import LayerFeatures, MfccFeatures
from espnet2.units.kmeans import assign
from espnet2.units.kmeans_units import KMeansUnits
from espnet2.units.source import FeatureSource, parse_layer
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_bytes
from espnet2.utils.kaldi_table import read_table

ALL = ["--normalize", "utterance-mean", "--whiten_dim", 5, "--smooth_frames", 3]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return write_experiment(tmp_path_factory.mktemp("exp") / "tiny")


@pytest.fixture(scope="module")
def joined(corpus: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A k-means of both layers of the model, with everything, and labels of dev."""
    kmeans = tmp_path_factory.mktemp("kmeans") / "iter1_espnet_hubert_l1+2_utterance-mean_whiten5_smooth3_km6"
    learn(corpus, kmeans, "--feature", "espnet_hubert", "--layer", "1+2", "--model", model, *ALL)
    label(kmeans, corpus / "dump/dev", num_jobs=2)
    return kmeans


def by_hand(features: torch.Tensor, kmeans: Path) -> list[int]:
    """Units of (layers, frames, dim), step by step."""
    tensors = load_file(kmeans / "centroids.safetensors")
    frames = torch.cat(list(features), dim=1).double()
    frames = (frames - frames.mean(0) - tensors["projection.mean"]) @ tensors["projection.matrix"].double().T
    padded = torch.nn.functional.pad(frames, (0, 0, 1, 1))
    counts = torch.nn.functional.pad(torch.ones(len(frames), 1), (0, 0, 1, 1))
    frames = (padded[:-2] + padded[1:-1] + padded[2:]) / (counts[:-2] + counts[1:-1] + counts[2:])
    return torch.cdist(frames, tensors["centroids"].double()).argmin(1).tolist()


def test_the_card_says_what_was_done(joined, model):
    card = read_card(joined)
    assert (card.layer, card.dim, card.source.layers) == ("1+2", 5, (1, 2))
    assert (card.normalize, card.whiten_dim, card.pca_dim, card.smooth_frames) == ("utterance-mean", 5, 0, 3)
    assert "pca_dim" not in json.loads((joined / "card.json").read_text())  # nothing was done with it
    assert card.describe() == (
        f"6 clusters of layers 1+2 of {model} (utterance-mean removed, whitened to 5, mean of 3 frames), "
        "50 units per second"
    )
    kmeans = load_kmeans(joined)
    assert kmeans.centroids.shape == (6, 5) and kmeans.projection.matrix.shape == (5, 32)
    assert kmeans.projection.matrix.dtype == torch.float32


def test_labels_are_those_worked_out_step_by_step(corpus, joined, model):
    index = AudioIndex.open(corpus / "dump/dev")
    packed = PackedLabels.open(joined / "labels/dev")
    encoder = SpeechEncoder.from_pretrained(model)
    for row in range(len(index)):
        wav = load_wav(index, row, normalize=encoder.model.frontend.normalize == "utterance")
        layers = LayerFeatures(encoder.model, [1, 2], 16000).extract([wav])[0]
        assert packed.labels(row).tolist() == by_hand(layers, joined)


def test_dumps_and_the_encoder_give_the_units_of_the_labels(corpus, joined, model, tmp_path):
    index, labels = AudioIndex.open(corpus / "dump/dev"), PackedLabels.open(joined / "labels/dev")
    run_program("ssl_dump_labels", "--kmeans", joined, corpus / "dump/dev", tmp_path / "units")
    units = read_table(tmp_path / "units/units.txt")
    encoder = SpeechEncoder.from_pretrained(model, kmeans=joined)
    wavs = [load_wav(index, row, normalize=False) for row in range(len(index))]
    lengths = torch.tensor([len(wav) for wav in wavs])
    batch = encoder.units(torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True), lengths, sample_rate=16000)
    for row in range(len(index)):
        expected = labels.labels(row).tolist()
        assert list(map(int, units[index.utt_id(row)].split())) == expected
        assert batch.ids[row, : batch.lengths[row]].tolist() == expected
        assert (batch.ids[row, batch.lengths[row] :] == -1).all()


def test_a_long_recording_in_chunks_is_normalised_as_a_whole(corpus, joined, model, tmp_path):
    words = ["--model", model, "--kmeans", joined, "--format", "units"]
    sizes = ["--whole_seconds", 0.1, "--chunk_seconds", 0.2, "--context_seconds", 30]  # all of it as context
    run_program("ssl_dump_features", *words, *sizes, corpus / "dump/dev", tmp_path / "chunks")
    chunks = read_table(tmp_path / "chunks/units.txt")
    labels = read_table(joined / "labels/dev.txt")
    agree = np.mean([np.mean(np.array(chunks[utt].split()) == np.array(labels[utt].split())) for utt in labels])
    assert chunks.keys() == labels.keys() and agree > 0.98  # the context changes rounding, no more


def test_a_packed_model_carries_the_transform(corpus, joined, model, tmp_path):
    run_program("ssl_pack", "--kmeans", joined, "--formats", "", "--model", model, "--output", tmp_path / "packed")
    (inside,) = (tmp_path / "packed/kmeans").iterdir()
    packed = load_kmeans(inside)
    assert packed.card.hash == read_card(joined).hash
    assert torch.equal(packed.projection.matrix, load_kmeans(joined).projection.matrix)
    index = AudioIndex.open(corpus / "dump/dev")
    wav = load_wav(index, 0, normalize=False)
    given = SpeechEncoder.from_pretrained(tmp_path / "packed").units(wav)
    assert given.ids[0].tolist() == PackedLabels.open(joined / "labels/dev").labels(0).tolist()


@pytest.mark.parametrize("options", [ALL, ["--pca_dim", 4, "--max_frames", 300], ["--smooth_frames", 5]])
def test_the_number_of_jobs_changes_nothing(corpus, tmp_path, options):
    for num_jobs in (1, 3):
        learn(corpus, tmp_path / f"km{num_jobs}", *options, num_jobs=num_jobs)
        label(tmp_path / f"km{num_jobs}", corpus / "dump/dev", num_jobs=num_jobs)
    for name in ("centroids.safetensors", "card.json", "labels/dev.txt", "labels/dev/labels.npy"):
        assert (tmp_path / "km1" / name).read_bytes() == (tmp_path / "km3" / name).read_bytes(), name


def test_features_as_they_are_keep_their_card_and_hash(corpus, model, tmp_path):
    kmeans = write_kmeans(tmp_path / "km", model)
    values = json.loads((kmeans / "card.json").read_text())
    assert not {"normalize", "smooth_frames", "pca_dim", "whiten_dim"} & set(values) and values["layer"] == 2
    assert set(load_file(kmeans / "centroids.safetensors")) == {"centroids"}
    words = ["feature=espnet_hubert", "layer=2", f"teacher_hash={values['teacher_hash']}"]
    centroids = load_file(kmeans / "centroids.safetensors")["centroids"]
    assert values["hash"] == hash_bytes(centroids.numpy().tobytes(), *words)


def test_the_hash_knows_the_transform(corpus, model, tmp_path):
    words = ["--feature", "espnet_hubert", "--model", model, "--layer"]
    for name, options in {"plain": [2], "smooth": [2, "--smooth_frames", 3], "joined": ["1+2"]}.items():
        learn(corpus, tmp_path / name, *words, *options)
    assert len({read_card(tmp_path / name).hash for name in ("plain", "smooth", "joined")}) == 3
    card = json.loads((tmp_path / "smooth/card.json").read_text())
    (tmp_path / "smooth/card.json").write_text(json.dumps({**card, "smooth_frames": 5}))
    with pytest.raises(UserError, match="are not the centroids that card"):
        label(tmp_path / "smooth", corpus / "dump/dev")


def test_mfcc_without_the_mean_of_the_utterance(corpus, tmp_path):
    learn(corpus, tmp_path / "km", "--normalize", "utterance-mean")
    packed = label(tmp_path / "km", corpus / "dump/dev")
    index = AudioIndex.open(corpus / "dump/dev")
    (features,) = MfccFeatures(16000).extract([load_wav(index, 1, normalize=False)])
    centroids = load_kmeans(tmp_path / "km").centroids
    assert packed.labels(1).tolist() == assign(features[0] - features[0].mean(0), centroids).tolist()


def test_other_options_than_those_of_the_kmeans_are_refused(corpus, joined, model):
    words = ["--dump_sets", corpus / "dump/train", "--feature", "espnet_hubert", "--model", model, "--num_clusters", 6]
    assert run_program("ssl_learn_kmeans", *words, "--layer", "1+2", *ALL, "--check", joined) == 0
    for options, message in (
        (["--layer", 2, *ALL], r"layer '1\+2', not 2"),
        (["--layer", "1+2"], "normalize 'utterance-mean', not 'none'; smooth_frames 3, not 1; whiten_dim 5, not 0"),
        (["--layer", "1+2", *ALL, "--smooth_frames", 5], "smooth_frames 3, not 5"),
    ):
        with pytest.raises(UserError, match=message):
            run_program("ssl_learn_kmeans", *words, *options, "--check", joined)
    with pytest.raises(UserError, match=r"layer '1\+2', not 1"):
        run_program("ssl_kmeans_labels", "--layer", 1, joined, corpus / "dump/dev")


def test_options_that_do_not_fit_the_features(corpus, model, tmp_path):
    words = ["--dump_sets", corpus / "dump/train", "--num_clusters", 6, "--check", tmp_path / "km"]
    layers = ["--feature", "espnet_hubert", "--model", model, "--layer"]
    for options, message in (
        (["--whiten_dim", 40], "--whiten_dim 40: a frame of mfcc has only 39 values"),
        ([*layers, "1+2", "--pca_dim", 33], r"--pca_dim 33: a frame of layers 1\+2 of .* has only 32 values"),
        ([*layers, "1+3"], "has no layer 3; its layers are 1, 2"),
    ):
        with pytest.raises(UserError, match=message):
            run_program("ssl_learn_kmeans", *words, *options)
    with pytest.raises(UserError, match=r"to_fit.2.npy: missing"):
        shutil.rmtree(tmp_path / "km", ignore_errors=True)
        learn(corpus, tmp_path / "km", "--whiten_dim", 3, num_jobs=2)
        (tmp_path / "km/features/to_fit.2.json").unlink()
        (tmp_path / "km/card.json").unlink()
        sample = ["--dump_sets", corpus / "dump/train", "--whiten_dim", 3, "--features_dir", tmp_path / "km/features"]
        run_program("ssl_learn_kmeans", *sample, "--num_jobs", 2, "--num_clusters", 6, tmp_path / "km")


@pytest.mark.parametrize("text", ["2+1", "1+1", "1+", "+1", "a", "1,2", "1 2", "1+02", "0+1"])
def test_layers_that_are_none(text, capsys):
    with pytest.raises(SystemExit):
        run_program("ssl_kmeans_labels", "--layer", text, "km", "dump")
    assert "expected a layer, such as 6, or layers to join" in capsys.readouterr().err


def test_layers_as_they_are_written():
    assert (parse_layer("6"), parse_layer("1+2+10")) == (6, "1+2+10")
    assert FeatureSource("espnet_hubert", "1+2+10").layers == (1, 2, 10) and FeatureSource("mfcc").layers == ()


def without_projection(folder: Path) -> None:
    save_file({"centroids": load_file(folder / "centroids.safetensors")["centroids"]}, folder / "centroids.safetensors")


def other_width(folder: Path) -> None:
    tensors = load_file(folder / "centroids.safetensors")
    tensors["projection.matrix"] = tensors["projection.matrix"][:4].contiguous()
    save_file(tensors, folder / "centroids.safetensors")


def other_mean(folder: Path) -> None:
    tensors = load_file(folder / "centroids.safetensors")
    tensors["projection.mean"] = tensors["projection.mean"] + 1
    save_file(tensors, folder / "centroids.safetensors")


def even(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "smooth_frames": 4}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_projection, "has none as projection"),
        (other_width, "has one of 4 x 32 as projection"),
        (other_mean, "are not the centroids that card"),
        (even, "--smooth_frames 4: expected an odd number"),
    ],
)
def test_a_transform_that_is_not_that_of_its_card(corpus, joined, tmp_path, damage, message):
    shutil.copytree(joined, tmp_path / "km", ignore=shutil.ignore_patterns("labels"))
    damage(tmp_path / "km")
    with pytest.raises(UserError, match=message):
        label(tmp_path / "km", corpus / "dump/dev")


def test_features_of_another_width_are_refused(joined):
    units = KMeansUnits(load_kmeans(joined))
    assert units(torch.randn(2, 9, 16)).shape == (9,)
    with pytest.raises(UserError, match=r"learned on frames of 32 values .* but the model gives 16"):
        units(torch.randn(1, 9, 16))
