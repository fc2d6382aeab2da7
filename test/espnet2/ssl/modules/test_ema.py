"""A student and a teacher in; averages, copies and schedules of DinoSR, SpidR and data2vec out."""

import pytest
import torch
from tiny_model import tiny_model

from espnet2.ssl.modules.ema import exponential_decay, linear_decay
from espnet2.ssl.teacher import Teacher


@pytest.fixture
def student():
    return tiny_model("hubert", encoder_conf={"dropout": 0.3, "layerdrop": 0.5}).encoder


def test_weights_are_averaged_and_positions_copied(student):
    teacher = Teacher(student)
    before = {name: value.clone() for name, value in teacher.encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += torch.randn_like(parameter)
    teacher.follow(student, 0.75, copied="position")
    for name, value in student.state_dict().items():
        expected = value if name.startswith("position.") else 0.75 * before[name] + 0.25 * value
        torch.testing.assert_close(teacher.encoder.state_dict()[name], expected)


def test_decay_of_one_changes_nothing(student):
    teacher = Teacher(student)
    before = {name: value.clone() for name, value in teacher.encoder.state_dict().items()}
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 1
    teacher.follow(student, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in teacher.encoder.state_dict().items())


def test_always_in_evaluation_mode_without_gradient(student):
    """No dropout, no layerdrop, whatever the model around it does; nothing flows back into its input."""
    teacher = Teacher(student).train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    x = torch.randn(2, 20, student.dim, requires_grad=True)
    first, second = (teacher.branches(x, None, [1, 2]) for _ in range(2))
    assert all(torch.equal(one, other) and not one.requires_grad for one, other in zip(first, second, strict=True))


def test_starts_as_the_student_but_for_weights_of_its_own(student):
    teacher = Teacher(student)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 1
    teacher_weight = teacher.encoder.norm.weight.clone()
    teacher.become(student, loaded={"teacher.encoder.norm.weight", "mask_embedding"})
    assert torch.equal(teacher.encoder.norm.weight, teacher_weight)
    assert torch.equal(teacher.encoder.norm.bias, student.norm.bias)
    assert torch.equal(teacher.encoder.blocks[0].ffn_in.weight, student.blocks[0].ffn_in.weight)


def test_schedules():
    """The values of DinoSR's and SpidR's published settings."""
    for update, expected in ((0, 0.999), (10000, 0.9993), (15000, 0.99945), (20000, 0.9996), (30000, 0.9999)):
        assert linear_decay(update, start=0.999, end=0.9999, num_updates=30000) == pytest.approx(expected, abs=1e-12)
    assert linear_decay(400000, start=0.999, end=0.9999, num_updates=30000) == 0.9999
    assert exponential_decay(0, start=0.999, num_updates=20000) == pytest.approx(0.999)
    assert exponential_decay(20000, start=0.999, num_updates=20000) == pytest.approx(1 - 0.001 / 2.718281828459045)
