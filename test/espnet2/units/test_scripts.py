"""The scripts of hubert1's stage 5, run from a recipe folder: from sets to labels and links, and once more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_units import write_experiment

from espnet2.units.card import read_card

KMEANS = "exp/kmeans/iter0_mfcc_km5"


@pytest.fixture
def recipe(corpus, root, tmp_path) -> Path:
    """A recipe folder with a space in its name."""
    folder = tmp_path / "my recipe"
    folder.mkdir()
    (folder / "utils").symlink_to(root / "utils")
    (folder / "scripts").symlink_to(root / "egs2/TEMPLATE/hubert1/scripts")
    (folder / "dump").mkdir()
    for name in ("train", "dev"):
        (folder / "dump" / name).symlink_to(corpus / "dump" / name)
    return folder


def run(recipe: Path, root: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PYTHONPATH": str(root),
        "PATH": f"{root / 'utils'}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command, cwd=recipe, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_sets_to_labels_and_links(recipe, root):
    options = ["--nj", "1", "--python", sys.executable]
    learned = run(recipe, root, "scripts/km/learn_kmeans.sh", *options, "--num_clusters", "5", "dump/train", KMEANS)
    assert learned.returncode == 0, learned.stderr
    assert "inertia" in learned.stderr and not (recipe / KMEANS / "features").exists()
    labelled = run(recipe, root, "scripts/km/dump_labels.sh", "--nj", "2", *options[2:], KMEANS, "dump/dev")
    assert labelled.returncode == 0, labelled.stderr
    assert "classes used, perplexity" in labelled.stderr
    linked = run(recipe, root, "scripts/km/link_labels.sh", "--lang", "en", KMEANS, "dev")
    assert linked.returncode == 0, linked.stderr
    token_list = recipe / "data/en_token_list_kmeans_iter0_mfcc_5clusters/word/tokens.txt"
    pseudo_labels = recipe / "dump/ssl_feats/mfcc/dev/pseudo_labels_km5.txt"
    assert token_list.is_symlink() and token_list.read_text() == "0\n1\n2\n3\n4\n"
    assert pseudo_labels.read_text() == (recipe / KMEANS / "labels/dev.txt").read_text()
    assert not os.path.isabs(os.readlink(pseudo_labels))

    (recipe / KMEANS / "log").rename(recipe / "log")
    again = run(recipe, root, "scripts/km/learn_kmeans.sh", *options, "--num_clusters", "5", "dump/train", KMEANS)
    assert again.returncode == 0 and "kept" in again.stderr and not (recipe / KMEANS / "log").exists()
    other = run(recipe, root, "scripts/km/learn_kmeans.sh", *options, "--num_clusters", "4", "dump/train", KMEANS)
    assert other.returncode == 2 and "num_clusters 5, not 4" in other.stderr and "Traceback" not in other.stderr
    assert read_card(recipe / KMEANS).num_clusters == 5


def test_features_are_changed_before_they_are_clustered(recipe, root, experiment):
    kmeans = "exp/kmeans/iter1_espnet_hubert_l1+2_utterance-mean_whiten4_smooth3_km5"
    options = ["--feature", "espnet_hubert", "--layer", "1+2", "--model", str(experiment), "--num_clusters", "5"]
    change = ["--normalize", "utterance-mean", "--whiten_dim", "4", "--smooth_frames", "3"]
    words = ["--nj", "2", "--python", sys.executable]
    learned = run(recipe, root, "scripts/km/learn_kmeans.sh", *words, *options, *change, "dump/train", kmeans)
    assert learned.returncode == 0, learned.stderr
    card = read_card(recipe / kmeans)
    assert (card.layer, card.normalize, card.whiten_dim, card.smooth_frames) == ("1+2", "utterance-mean", 4, 3)
    labelled = run(recipe, root, "scripts/km/dump_labels.sh", *words, kmeans, "dump/dev")
    assert labelled.returncode == 0, labelled.stderr
    linked = run(recipe, root, "scripts/km/link_labels.sh", "--lang", "en", kmeans, "dev")
    assert linked.returncode == 0, linked.stderr
    name = "espnet_hubert_utterance-mean_whiten4_smooth3"
    assert (recipe / f"data/en_token_list_kmeans_iter1_{name}_5clusters/word/tokens.txt").exists()
    assert (recipe / f"dump/ssl_feats/{name}/layer_1+2/dev/pseudo_labels_km5.txt").exists()
    again = run(recipe, root, "scripts/km/learn_kmeans.sh", *words, *options, "dump/train", kmeans)
    assert again.returncode == 2 and "normalize 'utterance-mean', not 'none'" in again.stderr


def iterations(root: Path, *assignments: str) -> subprocess.CompletedProcess:
    """The names that iterations.sh makes of its lists, for two iterations."""
    defaults = """
        train_configs="conf/train_hubert_a.yaml conf/train_hubert_b.yaml" n_clusters="5 6" layers_km="0 1+2"
        features_km="mfcc espnet_hubert" portion_km="1 1" train_start_iter=0 train_stop_iter= teacher= hubert_tag=
        normalize_km=none pca_dim_km=0 whiten_dim_km=0 smooth_frames_km=1 expdir=exp
    """
    script = f"""set -euo pipefail
        die() {{ echo "$*" >&2; exit 1; }}
        {defaults}
        {"; ".join(assignments)}
        . scripts/km/iterations.sh
        kmeans_name 0; kmeans_name 1; experiment 1"""
    folder = root / "egs2/TEMPLATE/hubert1"
    return subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)


def test_names_tell_units_apart(root):
    assert iterations(root).stdout.split() == [
        "iter0_mfcc_km5", "iter1_espnet_hubert_l1+2_km6", "exp/hubert_iter1_b_espnet_hubert_l1+2_km6"
    ]  # fmt: skip
    changed = iterations(root, 'normalize_km="utterance-mean none"', 'whiten_dim_km="0 64"', "smooth_frames_km=3")
    assert changed.stdout.split()[:2] == [
        "iter0_mfcc_utterance-mean_smooth3_km5", "iter1_espnet_hubert_l1+2_whiten64_smooth3_km6"
    ]  # fmt: skip
    assert iterations(root, "pca_dim_km=13").stdout.split()[0] == "iter0_mfcc_pca13_km5"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("normalize_km=mean", "--normalize_km: unknown 'mean'; known are none, utterance-mean, utterance-mean-var"),
        ("smooth_frames_km=4", "--smooth_frames_km: '4' is not an odd number of frames"),
        ("smooth_frames_km=-3", "--smooth_frames_km: '-3' is not an odd number"),
        ("whiten_dim_km=x", "--whiten_dim_km: 'x' is not a number of dimensions"),
        ("pca_dim_km=-1", "--pca_dim_km: '-1' is not a number of dimensions"),
        ('pca_dim_km="0 4" whiten_dim_km=4', "whitening is a scaled PCA; give one of the two for iteration 1"),
        ('whiten_dim_km="1 2 3"', "--whiten_dim_km has 3 values, --train_configs has 2: give one value for all"),
        ("normalize_km=", "--normalize_km has 0 values"),
        ('layers_km="0 1+"', "--layers_km: '1+' of iteration 1 is not a layer (1 is the first), nor layers to join"),
    ],
)
def test_changes_that_make_no_sense(root, assignment, message):
    result = iterations(root, assignment)
    assert result.returncode == 1 and message in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--smooth_frames", "2", "dump/train", KMEANS], "--smooth_frames 2: expected an odd number"),
        (["--whiten_dim", "40", "dump/train", KMEANS], "a frame of mfcc has only 39 values"),
        (["--layers", "3", "dump/train", KMEANS], "unknown option --layers; did you mean --layer?"),
        (["dump/train"], "Usage"),
        (["--feature", "plp", "dump/train", KMEANS], "invalid choice: 'plp'"),
        (["--feature", "espnet_hubert", "--layer", "2", "dump/train", KMEANS], "needs --model"),
        (["dump/nothing", KMEANS], "dump/nothing"),
    ],
)
def test_mistakes_end_before_any_job(recipe, root, arguments, message):
    words = ["--python", sys.executable, *arguments]
    result = run(recipe, root, "scripts/km/learn_kmeans.sh", *words)
    assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr
    assert not (recipe / KMEANS).exists()


def test_a_layer_the_model_lacks_ends_before_any_job(recipe, root, experiment):
    words = ["--python", sys.executable, "--feature", "espnet_hubert", "--model", str(experiment), "--layer"]
    for layer, message in (("3", "has no layer 3; its layers are 1, 2"), ("2", "2 clusters takes ")):
        options = [*words, layer, "--num_clusters", "2", "--cmd", "false"]
        result = run(recipe, root, "scripts/km/learn_kmeans.sh", *options, "dump/train", "exp/kmeans/iter1")
        assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr
        assert f"the training of {experiment} is not finished" in result.stderr
        assert not (recipe / "exp/kmeans/iter1").exists()


def test_labels_of_a_changed_teacher_end_before_any_job(recipe, root, tmp_path):
    teacher = write_experiment(tmp_path / "teacher")
    words = ["--python", sys.executable]
    learn = ["--feature", "espnet_hubert", "--layer", "1", "--model", str(teacher), "--num_clusters", "2", "--nj", "1"]
    done = run(recipe, root, "scripts/km/learn_kmeans.sh", *words, *learn, "dump/train", "exp/km")
    assert done.returncode == 0, done.stderr
    write_experiment(tmp_path / "teacher", seed=1)
    result = run(recipe, root, "scripts/km/dump_labels.sh", *words, "--cmd", "false", "exp/km", "dump/dev")
    assert result.returncode == 2 and "was learned on" in result.stderr and not (recipe / "exp/km/labels").exists()


def test_links_of_layers_and_things_in_the_way(recipe, root):
    kmeans = recipe / "exp/kmeans/iter1_espnet_hubert_l6_km500"
    (kmeans / "labels").mkdir(parents=True)
    (kmeans / "tokens.txt").write_text("0\n")
    (kmeans / "labels/train.txt").write_text("u 0\n")
    words = ["scripts/km/link_labels.sh", "--lang", "ru", str(kmeans.relative_to(recipe)), "train"]
    assert run(recipe, root, *words).returncode == 0
    target = recipe / "dump/ssl_feats/espnet_hubert/layer_6/train/pseudo_labels_km500.txt"
    assert target.read_text() == "u 0\n"
    assert (recipe / "data/ru_token_list_kmeans_iter1_espnet_hubert_500clusters/word/tokens.txt").exists()
    target.unlink()
    target.write_text("mine\n")
    refused = run(recipe, root, *words)
    assert refused.returncode != 0 and "in the way" in refused.stderr and target.read_text() == "mine\n"
    missing = run(recipe, root, *words[:-1], "dev")
    assert missing.returncode != 0 and "labels/dev.txt is missing: run stage 5" in missing.stderr
