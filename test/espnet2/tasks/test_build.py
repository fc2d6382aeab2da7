"""Config files, overrides, building and loading: what is accepted, and what each mistake is told."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import NUM_CLASSES, noise_batch, tiny_config, tiny_model
from tiny_units import write_experiment
from trained import load_path

from espnet2.models.find import find_model
from espnet2.models.load import load_untrained
from espnet2.ssl.encoder import encoder_class
from espnet2.ssl.frontend import frontend_class
from espnet2.ssl.objective import objective_class
from espnet2.tasks.build import build, needs_labels, with_num_classes
from espnet2.tasks.config import dump_config, load_config, parse_overrides, resolve_config
from espnet2.train.scheduler import schedule_config
from espnet2.utils.errors import UserError
from espnet2.utils.files import hash_file

MINI = "egs2/TEMPLATE/ssl1/conf/train_hubert_mini.yaml"


@pytest.fixture
def write(tmp_path):
    def write(text: str):
        path = tmp_path / "train.yaml"
        path.write_text(text)
        return path

    return write


def test_every_template_config_resolves_and_comes_back_from_its_dump(root, write):
    paths = sorted((root / "egs2/TEMPLATE").glob("*/conf/train_*.yaml"))
    assert len(paths) >= 8
    for path in paths:
        config = load_config(path)
        assert load_config(write(dump_config(config))) == config
        method = path.name.removeprefix("train_").removeprefix("continue_")
        assert needs_labels(config) == method.startswith(("hubert", "online_hubert", "wavlm"))
        assert type(config.encoder_conf) is encoder_class(config.encoder).Config
        assert type(config.frontend_conf) is frontend_class(config.frontend).Config
        assert type(config.scheduler_conf) is schedule_config(config.scheduler)
        assert [type(entry.conf) for entry in config.loss] == [objective_class(e.name).Config for e in config.loss]


def test_mini_is_the_trial_that_worked(root):
    config = load_config(root / MINI)
    model = build(config, 100)
    assert model.frontend.geometry.layers == ((400, 160), (2, 2))
    assert (model.encoder.dim, model.encoder.num_layers) == (192, 3)
    assert config.optim_conf.lr == 5.0e-4 and config.batch_bins == 160_000
    assert model.first.draw.mask_span == 5
    assert model(noise_batch(model))["hubert"].terms[0].total.isfinite()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        (["--max_update", "100"], [(["max_update"], 100)]),
        (["--max_update=100"], [(["max_update"], 100)]),
        (["--optim_conf", "lr=1e-4", "eps=1e-8"], [(["optim_conf", "lr"], 1e-4), (["optim_conf", "eps"], 1e-8)]),
        (["encoder_conf.num_layers=2"], [(["encoder_conf", "num_layers"], 2)]),
        (["--loss", "hubert.conf.mask_span=5"], [(["loss", "hubert", "conf", "mask_span"], 5)]),
        (["--best_model_criterion", "[[valid, loss, min]]"], [(["best_model_criterion"], [["valid", "loss", "min"]])]),
        (["--patience", "null"], [(["patience"], None)]),
        (["--init_param", "a b/c.safetensors"], [(["init_param"], "a b/c.safetensors")]),
    ],
)
def test_overrides(words, expected):
    assert parse_overrides(words) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max_update"], "option --max_update has no value"),
        (["--max_update", "--seed", "1"], "option --max_update has no value"),
        (["100"], "'100' is no option"),
        (["--seed", "1", "2"], "'2' is no option"),
        (["--seed", "[1"], "'\\[1' is not a YAML value"),
    ],
)
def test_overrides_that_make_no_sense(words, message):
    with pytest.raises(UserError, match=message):
        parse_overrides(words)


def test_overrides_reach_every_section(root):
    words = (
        "--encoder_conf.num_layers 2 --loss 0.conf.mask_span=7 hubert.weight=0.5 --frontend_conf num_mels=40 --seed 3"
    )
    config = load_config(root / MINI, words.split())
    assert config.encoder_conf.num_layers == 2 and config.encoder_conf.dim == 192
    assert config.loss[0].conf.mask_span == 7 and config.loss[0].weight == 0.5
    assert config.frontend_conf.num_mels == 40 and config.seed == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--max_updates 5", "unknown key 'max_updates'; did you mean 'max_update'"),
        ("--encoder_conf num_layer=5", "encoder_conf: unknown key 'num_layer'; did you mean 'num_layers'"),
        ("--frontend_conf num_mel=5", "frontend_conf: unknown key 'num_mel'; did you mean 'num_mels'"),
        ("--loss hubert.conf.mask_porb=5", r"loss \(hubert\) conf: unknown key 'mask_porb'; did you mean 'mask_prob'"),
        ("--loss huburt.conf.mask_prob=5", "no entry 'huburt'; did you mean 'hubert'"),
        ("--seed.x 5", "'seed' holds the value 1, not a section"),
        ("--encoder_conf num_layers=two", "encoder_conf: 'num_layers' is 'two'"),
        ("--encoder transfomer", "unknown encoder 'transfomer'; did you mean 'transformer'"),
        ("--frontend mel", "unknown frontend 'mel'.*known are conv, fbank"),
        ("--frontend 3", "'frontend' is 3: Input should be a valid string"),
        ("--optim_conf lrr=1", r"train.yaml: optim_conf \(adamw\): unknown key 'lrr'; did you mean 'lr'"),
        (
            "--scheduler tristage --scheduler_conf hold=1",
            r"train.yaml: scheduler_conf \(tristage\): unknown key 'hold'",
        ),
        ("--encoder_conf 3", "train.yaml: 'encoder_conf' is 3: Input should be a valid dictionary"),
    ],
)
def test_wrong_overrides_name_the_key_and_the_nearest(write, root, words, message):
    path = write((root / MINI).read_text() + "seed: 1\n")
    with pytest.raises(UserError, match=message):
        load_config(path, words.split())


def test_one_of_several_entries_of_a_name_is_changed_by_its_number(write):
    path = write("loss: [{name: hubert, labels: a}, {name: hubert, labels: b}]\n")
    with pytest.raises(UserError, match="2 entries have the name 'hubert'; expected a number: 0 or 1"):
        load_config(path, ["--loss", "hubert.weight=2.0"])
    assert [entry.weight for entry in load_config(path, ["--loss", "1.weight=2.0"]).loss] == [1.0, 2.0]


def test_all_mistakes_are_told_at_once_and_no_other(write, root):
    words = "--max_updates 5 --encoder_conf dimm=3 heads=2 --loss hubert.conf.mask_span=0 --optim_conf lr=-1"
    path = write((root / MINI).read_text())
    with pytest.raises(UserError) as caught:
        load_config(path, words.split())
    lines = str(caught.value).splitlines()
    told = ["optim_conf (adamw): 'lr'", "encoder_conf: unknown key 'dimm'", "encoder_conf: unknown key 'heads'"]
    told += ["loss (hubert) conf: 'mask_span'", "unknown key 'max_updates'"]
    assert len(lines) == len(told), lines
    for line, text in zip(lines, told, strict=True):
        assert line.startswith(f"{path}: {text}"), line


def test_labels_of_a_single_class_are_refused():
    with pytest.raises(UserError, match=r"loss \(hubert\) conf: 'num_classes' is 1"):
        with_num_classes(resolve_config({"loss": [{"name": "hubert"}]}), 1)


def test_scientific_notation_is_a_number(write):
    config = load_config(write("loss: [{name: hubert}]\noptim_conf: {lr: 5e-4, eps: 1.0e-6}\nbatch_bins: 1_000\n"))
    assert config.optim_conf.lr == 5e-4 and config.batch_bins == 1000


def test_empty_sections_mean_defaults(write):
    assert load_config(write("loss: [{name: hubert}]\nencoder_conf:\n")).encoder_conf.num_layers == 12


VERBATIM = "loss:\n    - name: hubert\n    conf:\n    num_classes: 500\n"


@pytest.mark.parametrize(
    "text",
    [
        VERBATIM,
        "seed: 1\n" + VERBATIM + "optim: adamw\n",
        "loss:\n- name: hubert\n  conf:\n  num_classes: 500\n",
        "loss:\n    name: hubert\n    conf:\n        num_classes: 500\n",
        "loss: hubert\n",
        "loss: [hubert]\n",
    ],
)
def test_loss_that_lost_its_indentation_is_shown_the_meant_form(write, text):
    with pytest.raises(UserError, match=r"train.yaml: 'loss' is not a list of entries") as caught:
        load_config(write(text))
    meant = str(caught.value).split(":\n", 1)[1]
    assert load_config(write(meant)).loss[0].conf.num_classes == 500  # what the message shows works


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\n", "'loss' is required; expected a list"),
        ("loss: []\n", "loss"),
        ("loss: [{name: hubert}]\nseed: 1\nseed: 2\n", r"train.yaml:3: not valid YAML: key 'seed' appears twice"),
        ("loss: [{name: hubert, wieght: 2}]\n", "unknown key 'loss.0.wieght'"),
        ("loss: [{name: hubert}]\nfrontend: {}\n", "'frontend' is {}"),
        ("loss: [\n", "not valid YAML"),
        ("- a\n", "found a list"),
        ("[a, b]: 1\n", "a key that is no plain word"),
    ],
)
def test_wrong_files(write, text, message):
    with pytest.raises(UserError, match=message):
        load_config(write(text))


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such config file"):
        load_config(tmp_path / "none.yaml")


def test_number_of_classes_comes_from_the_labels():
    config = resolve_config({"loss": [{"name": "hubert"}]})
    assert with_num_classes(config, 100).loss[0].conf.num_classes == 100
    with pytest.raises(UserError, match=r"loss \(hubert\): needs labels; run stage 5"):
        build(config)
    given = resolve_config({"loss": [{"name": "hubert", "conf": {"num_classes": 500}}]})
    with pytest.raises(UserError, match="num_classes is 500, but the labels have 100 classes"):
        build(given, 100)


def test_build_is_a_function_of_the_seed():
    one, same, other = tiny_model(seed=1), tiny_model(seed=1), tiny_model(seed=2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.first.mask_embedding, other.first.mask_embedding)
    assert not any(name.startswith("objectives.hubert._shared") for name in one.state_dict())


@pytest.fixture
def experiment(tmp_path):
    model = tiny_model(seed=5)
    for update in (10, 20):
        folder = tmp_path / "exp" / "checkpoints" / f"update_{update}"
        folder.mkdir(parents=True)
        save_file({name: value + update for name, value in model.state_dict().items()}, folder / "model.safetensors")
    (folder.parent / "latest").symlink_to("update_20")
    (tmp_path / "exp" / "config.yaml").write_text(dump_config(with_num_classes(tiny_config(), NUM_CLASSES)))
    return tmp_path / "exp", model


def test_load_model_by_experiment_folder_or_file(experiment, monkeypatch):
    path, model = experiment
    loaded = load_path(path)
    weights = path / "checkpoints" / "update_20" / "model.safetensors"
    assert loaded.hash == hash_file(weights) and not loaded.model.training
    torch.testing.assert_close(loaded.model.first.mask_embedding, model.first.mask_embedding + 20)
    for same in (load_path(weights), load_path(weights.parent), load_path(path, tag="update_20")):
        assert same.hash == loaded.hash
    assert load_path(path, tag="update_10").hash != loaded.hash
    monkeypatch.chdir(weights.parent)
    assert load_path("model.safetensors").hash == loaded.hash


def test_untrained_model_has_the_weights_of_the_seed_and_the_statistics_of_the_trained(tmp_path):
    """Normalised by others than its own statistics, an untrained model would be an unfairly weak baseline."""
    options = {"frontend_conf": {"mel_norm": "corpus"}}
    experiment = write_experiment(tmp_path / "a", "hubert", seed=5, **options)
    weights = experiment / "checkpoints/latest/model.safetensors"
    state = load_file(weights)
    state["frontend.mel_mean"] += 3.0
    save_file(state, weights)
    untrained, state = load_untrained(find_model(experiment)), load_untrained(find_model(experiment)).model.state_dict()
    expected = tiny_model("hubert", seed=untrained.config.seed, **options).state_dict()
    for name, value in state.items():
        assert torch.equal(value, expected[name] + 3.0 if name == "frontend.mel_mean" else expected[name]), name


def test_load_model_says_what_is_missing(experiment, tmp_path):
    path, _ = experiment
    with pytest.raises(UserError, match="no trained model there"):
        load_path(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"best_loss/model.safetensors is missing"):
        load_path(path, tag="best_loss")
    (path / "config.yaml").write_text(dump_config(tiny_config(encoder_conf={"dim": 32})))
    with pytest.raises(UserError, match=r"does not fit .*config.yaml"):
        load_path(path)
    (path / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"no config.yaml"):
        load_path(path)
