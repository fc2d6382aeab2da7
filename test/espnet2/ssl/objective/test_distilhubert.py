"""DistilHuBERT: the loss by hand, a student that starts as its teacher, and teachers that do not fit."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_model import TEACHER, noise_batch, tiny_model
from tiny_training import TINY_CONFIG, command_line, make_corpus
from tiny_units import write_experiment
from training_process import run_training

from espnet2.pretrain.teachers import as_teacher, describe_teachers, load_teachers, with_teachers
from espnet2.ssl.modules.norm import normalise_over_time
from espnet2.tasks.build import build
from espnet2.tasks.config import load_config, resolve_config
from espnet2.utils.errors import UserError

START = {"student_start": "teacher", "teacher_layers": [1, 2], "teacher_dim": 16}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def student(*, conf=None, **options):
    """A student without a teacher."""
    model = tiny_model("distilhubert", **options)
    config = resolve_config({"loss": [{"name": "distilhubert", "conf": {"teacher_dim": 24, **(conf or {})}}]})
    return type(model.first)(config.loss[0].conf, model.frontend, model.encoder, model.first.context)


def teacher(objective="hubert", **options):
    return as_teacher(tiny_model(objective, **options), tiny_model().frontend, "exp/tiny")


@pytest.mark.parametrize("lengths", [(16000, 16000), (16000, 11000)])
def test_the_loss_is_that_of_the_paper(lengths):
    """Frame by frame: L1 over the width, and -log sigmoid of the cosine; the mean over layers."""
    model = tiny_model("distilhubert", conf={"cosine_weight": 0.5})
    objective, batch = model.first, noise_batch(model, lengths)
    hidden, frame_lengths = objective.extract(batch.wavs, batch.wav_lengths, [2])
    targets, _ = objective.teacher.model.first.extract(batch.wavs, batch.wav_lengths, [1, 2])
    l1 = cosine = 0.0
    for head, target in zip(objective.heads, targets, strict=True):
        predictions = head(hidden[0]).detach()
        for row, length in enumerate(frame_lengths.tolist()):
            for prediction, meant in zip(predictions[row, :length], target[row, :length], strict=True):
                l1 += float((prediction - meant).abs().sum() / len(meant)) / 2
                similarity = prediction @ meant / prediction.norm() / meant.norm()
                cosine -= float(torch.log(torch.sigmoid(similarity))) / 2
    loss = model.eval()(batch)["distilhubert"]
    assert [term.name for term in loss.terms] == ["l1", "cosine"] and loss.terms[1].weight == 0.5
    assert loss.terms[0].total.item() == pytest.approx(l1, rel=1e-5)
    assert loss.terms[1].total.item() == pytest.approx(cosine, rel=1e-5)
    assert all(int(term.count) == sum(frame_lengths.tolist()) for term in loss.terms)


def test_without_a_weight_there_is_no_cosine():
    model = tiny_model("distilhubert", conf={"cosine_weight": 0.0})
    batch = noise_batch(model)
    assert [term.name for term in model(batch)["distilhubert"].terms] == ["l1"] == list(model.first.counts(batch))


def test_guessing_is_the_mean_frame():
    """Heads that say the mean of every channel of the batch have the loss that the watch calls guessing."""
    model = tiny_model("distilhubert").eval()
    batch = noise_batch(model)
    targets = model.first.teacher.layers(batch.wavs, batch.wav_lengths, [1, 2])
    with torch.no_grad():
        for head, target in zip(model.first.heads, targets, strict=True):
            head[2].weight.zero_()
            head[2].bias.copy_(target.mean((0, 1)))
        loss = model(batch)["distilhubert"]
    figures = {name: float(ratio.total / ratio.count) for name, ratio in loss.stats.items()}
    (chance,) = model.first.chance(figures, None)
    assert chance.loss_name == "loss_l1"
    assert chance.loss == pytest.approx(float(loss.terms[0].total / loss.terms[0].count), rel=1e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_student_starts_as_the_bottom_of_its_teacher(norm):
    larger = tiny_model(seed=3, encoder_conf={"num_layers": 3, "norm": norm})
    objective = student(conf={**START, "teacher_layers": [3]}, encoder_conf={"num_layers": 1, "norm": norm})
    objective.take_teacher(as_teacher(larger, objective.frontend, "larger"))
    batch = noise_batch(larger, (16000, 9000))
    ours, _ = objective.extract(batch.wavs, batch.wav_lengths, [0, 1])
    theirs, _ = larger.first.extract(batch.wavs, batch.wav_lengths, [0, 1])
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert not any(parameter.requires_grad for parameter in larger.parameters())
    assert all(parameter.requires_grad for parameter in objective.encoder.parameters())


def test_windows_of_another_length_compare_the_frames_that_both_have():
    """Convolutions see 400 samples, two mel frames 560: at some lengths the teacher has a frame more."""
    objective = student(conf={"student_start": "random", "teacher_layers": [2]})
    objective.take_teacher(as_teacher(tiny_model(frontend="conv", encoder_conf=TEACHER), objective.frontend, "conv"))
    batch = replace(noise_batch(tiny_model(), (16080, 9000)), draws={"distilhubert": {}})
    loss = objective.eval()(batch)
    assert int(loss.terms[0].count) == objective.counts(batch)["l1"] == 49 + 27
    assert objective.teacher.frontend.geometry.output_lengths(16080) == 50


def test_a_teacher_of_scaled_waveforms_gets_them_scaled():
    scaled = teacher(frontend="conv", frontend_conf={"normalize": "utterance"})
    wavs, lengths = 0.1 * torch.randn(2, 9000), torch.tensor([9000, 7000])
    wavs[1, 7000:] = 0
    expected = scaled.encode(normalise_over_time(wavs[..., None], lengths, eps=1e-5)[..., 0], lengths, (2,))[0]
    assert scaled.scales and torch.equal(scaled.layers(wavs, lengths, [2])[0], expected.layers[2])
    assert not teacher(frontend="conv").scales


WIDE = {"encoder_conf": TEACHER}
MISFITS = [  # options of the teacher, conf of the student, what is said
    ({"frontend_conf": {"sample_rate": 8000}}, {}, "its sample rate is 8000 Hz, the student's 16000"),
    ({"frontend_conf": {"stack_frames": 4}}, {}, "its frame rate is 25 frames per second, the student's 50"),
    (WIDE, {"teacher_layers": [3]}, "teacher_layers names layer 3, but it has layers 1 to 2"),
    (WIDE, {"teacher_layers": [0]}, "teacher_layers names layer 0, but it has layers 1 to 2"),
    ({}, {}, "it is 16 wide, teacher_dim is 24; leave teacher_dim out"),
    ({"encoder_conf": {"ffn_dim": 16}}, START, r"shape \(16, 16\) in the teacher, \(32, 16\) in the student; set stud"),
    ({"encoder_conf": {"num_layers": 1}}, {**START, "teacher_layers": [1]}, "has no blocks.1.* and no deeper"),
    (
        {"encoder_conf": {"attention_position": "alibi", "position": "none"}},
        START,
        "has no position.*set student_start",
    ),
    ({"frontend": "conv"}, START, r"projection.weight has shape \(16, 12\) in the teacher, \(16, 40\) in the student"),
]


@pytest.mark.parametrize(("options", "conf", "message"), MISFITS)
def test_a_teacher_that_does_not_fit_is_one_message(options, conf, message):
    objective = student(conf={"student_start": "random", "teacher_layers": [1], **conf})
    shared = [objective.frontend, objective.encoder]
    before = [value.clone() for part in shared for value in part.state_dict().values()]
    with pytest.raises(UserError, match=f"teacher exp/tiny: .*{message}"):
        objective.take_teacher(teacher(**options))
    after = [value for part in shared for value in part.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_student_of_scaled_waveforms_has_no_teacher_of_others():
    scaled = tiny_model(frontend="conv", frontend_conf={"normalize": "utterance"})
    with pytest.raises(UserError, match=r"teacher exp/t: .*set frontend_conf: normalize: none"):
        as_teacher(tiny_model(), scaled.frontend, "exp/t")


def test_a_teacher_must_be_named_and_there(tmp_path):
    loss = {"name": "distilhubert"}
    with pytest.raises(UserError, match=r"loss \(distilhubert\): learns from a trained model; name it"):
        load_teachers(resolve_config({"loss": [loss]}))
    with pytest.raises(UserError, match="no trained model there"):
        load_teachers(resolve_config({"loss": [{**loss, "conf": {"teacher": str(tmp_path)}}]}))
    model = build(resolve_config({"loss": [loss], "frontend": "fbank"}))
    with pytest.raises(TypeError, match="was not given its teacher"):
        model(noise_batch(model))


def test_two_entries_share_a_teacher_and_get_its_width(tmp_path):
    path = str(write_experiment(tmp_path / "exp/tiny", encoder_conf=TEACHER))
    entries = [{"name": "distilhubert", "conf": {"teacher": path, "teacher_layers": [layer]}} for layer in (1, 2)]
    config = resolve_config({"loss": [*entries, {"name": "best_rq"}], "frontend": "fbank"})
    teachers = load_teachers(config)
    assert list(teachers) == ["distilhubert", "distilhubert_2"]
    assert teachers["distilhubert"] is teachers["distilhubert_2"]
    filled = with_teachers(config, teachers)
    assert [entry.conf.teacher_dim for entry in filled.loss[:2]] == [24, 24]
    assert "parameters in frontend and encoder; the student has" in describe_teachers(tiny_model(), teachers)[0]


def test_a_run_names_its_teacher_and_refuses_another(tmp_path):
    paths = make_corpus(tmp_path, num_train=8, num_valid=2)
    source = write_experiment(tmp_path / "exp/tiny", encoder_conf=TEACHER)
    conf = {"teacher": str(source), "teacher_layers": [1], "student_start": "random"}
    loss = [{"name": "distilhubert", "conf": conf}]
    config = {**TINY_CONFIG, "loss": loss, "max_update": 2, "valid_interval_updates": 2, "probe": {"enabled": False}}
    (tmp_path / "conf.yaml").write_text(json.dumps(config))
    words = command_line(paths, tmp_path, tmp_path / "exp/student")
    assert run_training(words, log=tmp_path / "log") == 0, (tmp_path / "log").read_text()
    log = (tmp_path / "exp/student/train.log").read_text()
    assert f"teacher of distilhubert: {source}, " in log and "the student has" in log
    assert load_config(tmp_path / "exp/student/config.yaml").loss[0].conf.teacher_dim == 24
    saved = load_file(tmp_path / "exp/student/checkpoints/latest/model.safetensors")
    assert not [name for name in saved if "teacher" in name]
    weights = source / "checkpoints/update_1/model.safetensors"
    other = {name: value + 1 if name.endswith("norm.bias") else value for name, value in load_file(weights).items()}
    save_file(other, weights)
    assert run_training([*words, "--max_update", "4"], log=tmp_path / "again") == 2
    assert "teachers.distilhubert: " in (tmp_path / "again").read_text()
