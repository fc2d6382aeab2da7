"""A training config that names trained teachers in, these models out, and given to the objectives that ask for them."""

from collections.abc import Mapping

import torch

from espnet2.models.find import find_model
from espnet2.models.load import LoadedModel, load_model
from espnet2.ssl.frontend.base import Frontend
from espnet2.ssl.model import SSLModel
from espnet2.ssl.objective.base import TaughtConfig
from espnet2.ssl.trained_teacher import TrainedTeacher
from espnet2.tasks.config import SSLConfig
from espnet2.utils.errors import UserError

Teachers = Mapping[str, LoadedModel]  # loss entry -> the model that it learns from


def load_teachers(config: SSLConfig) -> dict[str, LoadedModel]:
    """The models that loss entries name; one that several name is loaded once.

    Raises:
        UserError: an entry names none; see `find_model` and `load_model`.
    """
    loaded: dict[str, LoadedModel] = {}
    teachers: dict[str, LoadedModel] = {}
    for entry, settings in config.entries().items():
        if not isinstance(settings.conf, TaughtConfig):
            continue
        name = settings.conf.teacher
        if name is None:
            raise UserError(
                f"loss ({entry}): learns from a trained model; name it: conf: teacher: exp/<name>, hf:<user>/<name> "
                "or a file"
            )
        if name not in loaded:
            loaded[name] = load_model(find_model(name))
        teachers[entry] = loaded[name]
    return teachers


def with_teachers(config: SSLConfig, teachers: Teachers) -> SSLConfig:
    """The config with the width of its teachers; that of a config which says another one is refused later."""
    entries = []
    for entry, settings in config.entries().items():
        conf = settings.conf
        if entry in teachers and isinstance(conf, TaughtConfig) and conf.teacher_dim is None:
            conf = conf.model_copy(update={"teacher_dim": teachers[entry].model.encoder.dim})
            settings = settings.model_copy(update={"conf": conf})
        entries.append(settings)
    return config.model_copy(update={"loss": tuple(entries)})


def give_teachers(model: SSLModel, teachers: Teachers, device: torch.device) -> None:
    """Give every objective its teacher, on the device of the training.

    Raises:
        UserError: a teacher does not fit its student: see `Objective.take_teacher`.
    """
    for entry, objective in model.entries():
        if entry in teachers:
            objective.take_teacher(
                as_teacher(teachers[entry].model.to(device), model.frontend, teachers[entry].files.name)
            )


def as_teacher(model: SSLModel, student: Frontend, name: str) -> TrainedTeacher:
    """A trained model as the teacher of a student with this frontend.

    Raises:
        UserError: the loader scales waveforms for the student, and the teacher was trained without.
    """
    theirs, ours = model.frontend.normalize, student.normalize
    if (theirs, ours) == ("none", "utterance"):
        raise UserError(
            f"teacher {name}: was trained on waveforms as they are, the student gets them scaled to unit variance: set "
            "frontend_conf: normalize: none"
        )
    model.eval().requires_grad_(False)
    return TrainedTeacher(name, model, model.frontend, model.encoder, model.first.encode_whole, theirs != ours)


def describe_teachers(model: SSLModel, teachers: Teachers) -> list[str]:
    """A line of the log for each."""
    student = sum(parameter.numel() for part in (model.frontend, model.encoder) for parameter in part.parameters())
    lines = []
    for entry, teacher in teachers.items():
        parts = (teacher.model.frontend, teacher.model.encoder)
        size = sum(parameter.numel() for part in parts for parameter in part.parameters())
        lines.append(
            f"teacher of {entry}: {teacher.files.name}, {size:,} parameters in frontend and encoder; the student has "
            f"{student:,}, {100 * student / size:.0f} % of them"
        )
    return lines


def hash_teachers(teachers: Teachers) -> dict[str, object]:
    """What a resumed run must find unchanged; nothing where there are none, as before there could be any."""
    return {"teachers": {entry: teacher.hash for entry, teacher in teachers.items()}} if teachers else {}
