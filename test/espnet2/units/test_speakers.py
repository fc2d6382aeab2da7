"""What is taken away from each speaker: by hand, the same for labels, dumps and jobs; refused without utt2spk."""

import shutil
from pathlib import Path

import pytest
import torch
from kmeans_programs import label, learn
from tiny_training import make_set
from tiny_units import run_program, write_experiment

from espnet2.data.index import AudioIndex
from espnet2.data.labels.packed import PackedLabels
from espnet2.data.waveform import load_wav
from espnet2.publish.speech_encoder import SpeechEncoder
from espnet2.units import speakers as speakers_module
from espnet2.units.card import load_kmeans, read_card
from espnet2.units.features import MfccFeatures
from espnet2.units.kmeans import assign
from espnet2.utils.errors import UserError
from espnet2.utils.kaldi_table import read_table


def give_speakers(folder: Path, count: int = 2) -> None:
    """utt2spk: the utterances in turn."""
    index = AudioIndex.open(folder)
    lines = [f"{index.utt_id(row)} s{row % count}\n" for row in range(len(index))]
    (folder / "utt2spk").write_text("".join(lines))


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dump/train and dump/dev, of two speakers each."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("spoken")
    for seed, (name, count) in enumerate({"train": 8, "dev": 5}.items()):
        make_set(root, name, num_utterances=count, seed=seed)
        give_speakers(root / "dump" / name)
    return root


@pytest.fixture(scope="module")
def kmeans(spoken: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kmeans") / "iter0_mfcc_speaker-mean-variance_km6"
    learn(spoken, folder, "--normalize", "speaker-mean-variance")
    label(folder, spoken / "dump/dev", num_jobs=2)
    return folder


def features_of(folder: Path) -> list[torch.Tensor]:
    index = AudioIndex.open(folder)
    wavs = [load_wav(index, row, normalize=False) for row in range(len(index))]
    return [features[0] for features in MfccFeatures(16000).extract(wavs)]


def test_labels_are_those_worked_out_by_hand(spoken, kmeans):
    features, packed = features_of(spoken / "dump/dev"), PackedLabels.open(kmeans / "labels/dev")
    centroids = load_kmeans(kmeans).centroids
    for speaker in (0, 1):
        frames = torch.cat(features[speaker::2]).double()
        mean, deviation = frames.mean(0), frames.std(0, correction=0)
        for row in range(speaker, 5, 2):
            expected = assign(((features[row].double() - mean) / deviation).float(), centroids)
            assert (torch.tensor(packed.labels(row).tolist()) == expected).float().mean() > 0.99


def test_dumps_give_the_units_of_the_labels(spoken, kmeans, tmp_path):
    for job in (1, 2):
        words = ["--kmeans", kmeans, "--job", job, "--num_jobs", 2, spoken / "dump/dev", tmp_path / "out"]
        run_program("ssl_dump_labels", *words)
    assert read_table(tmp_path / "out/units.txt") == read_table(kmeans / "labels/dev.txt")
    run_program("ssl_soft_labels", "--temperature", 9, "--top_k", 2, kmeans, spoken / "dump/dev", tmp_path / "soft")
    soft, packed = PackedLabels.open(tmp_path / "soft"), PackedLabels.open(kmeans / "labels/dev")
    assert all(soft.first_labels(row).tolist() == packed.labels(row).tolist() for row in range(len(packed)))


def test_the_number_of_jobs_changes_nothing(spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(speakers_module, "UTTERANCES_PER_SPEAKER", 2)  # fewer than there are: they are chosen
    for num_jobs in (1, 3):
        learn(spoken, tmp_path / f"km{num_jobs}", "--normalize", "speaker-mean", num_jobs=num_jobs)
        label(tmp_path / f"km{num_jobs}", spoken / "dump/dev", num_jobs=num_jobs)
    for name in ("centroids.safetensors", "card.json", "labels/dev.txt"):
        assert (tmp_path / "km1" / name).read_bytes() == (tmp_path / "km3" / name).read_bytes(), name
    assert read_card(tmp_path / "km1").normalize == "speaker-mean"


def test_other_speakers_mean_other_labels(spoken, kmeans, tmp_path):
    shutil.copytree(kmeans, tmp_path / "km")
    shutil.copytree(spoken / "dump/dev", tmp_path / "dump/dev")
    words = ["--check", tmp_path / "km", tmp_path / "dump/dev"]
    assert run_program("ssl_kmeans_labels", *words) == 0
    give_speakers(tmp_path / "dump/dev", count=1)
    assert run_program("ssl_kmeans_labels", *words) == 3
    assert label(tmp_path / "km", tmp_path / "dump/dev").hash != PackedLabels.open(kmeans / "labels/dev").hash


def test_without_speakers_it_is_refused(spoken, kmeans, tmp_path):
    shutil.copytree(spoken / "dump/dev", tmp_path / "dump/dev")
    table = tmp_path / "dump/dev/utt2spk"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[1:]))
    with pytest.raises(UserError, match="dev/utt2spk: lacks 1 utterances, such as dev-000"):
        run_program("ssl_kmeans_labels", kmeans, tmp_path / "dump/dev")
    table.unlink()
    said = "dev/utt2spk: no such file; --normalize speaker-mean-variance needs the speaker"
    with pytest.raises(UserError, match=said):
        run_program("ssl_kmeans_labels", "--check", kmeans, tmp_path / "dump/dev")
    with pytest.raises(UserError, match=said):
        run_program("ssl_dump_labels", "--kmeans", kmeans, tmp_path / "dump/dev", tmp_path / "out")
    words = ["--dump_sets", tmp_path / "dump/dev", "--num_clusters", 6, "--normalize", "speaker-mean"]
    with pytest.raises(UserError, match="needs the speaker of each utterance"):
        run_program("ssl_learn_kmeans", *words, "--check", tmp_path / "km")


def test_a_batch_in_python_has_no_speakers(spoken, tmp_path):
    model = write_experiment(tmp_path / "exp/tiny")
    options = ["--feature", "espnet_hubert", "--layer", 2, "--model", model, "--normalize", "speaker-mean"]
    learn(spoken, tmp_path / "km", *options)
    encoder = SpeechEncoder.from_pretrained(model, kmeans=tmp_path / "km")
    with pytest.raises(UserError, match="its card calls speaker-mean, which single utterances do not tell"):
        encoder.units(torch.randn(1, 16000))
