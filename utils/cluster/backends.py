"""The registry of back ends: cluster/<name>.py has the one subclass of Backend for <name>, as in cmd_backend."""

import importlib
import os
import re

from .backend import Backend

CLASS = re.compile(r"^class \w+\(Backend\):", re.MULTILINE)


def names() -> list[str]:
    """The files that define a back end, by their text."""
    folder = os.path.dirname(os.path.abspath(__file__))
    files = sorted(file for file in os.listdir(folder) if file.endswith(".py"))
    return [file[: -len(".py")] for file in files if CLASS.search(text_of(os.path.join(folder, file)))]


def text_of(path: str) -> str:
    """A file."""
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def by_name(name: str) -> Backend:
    """An object of the back end; only its module is imported."""
    module = importlib.import_module(f"{__package__}.{name}")
    classes = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Backend)]
    (backend_class,) = [value for value in classes if value.__module__ == module.__name__]
    return backend_class()


def every() -> list[Backend]:
    """All back ends, in the order in which they are asked what job this is."""
    return sorted(map(by_name, names()), key=lambda backend: (backend.asking_order, backend.name))


def variables_of_the_node() -> re.Pattern[str]:
    """Names of variables that belong to the node and to the scheduler, whichever it is, and not to the submitter."""
    begins = ["CLUSTER_", "OMPI_"] + [begin for backend in every() for begin in backend.variables]
    whole = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL",
             "NVIDIA_VISIBLE_DEVICES", "TMPDIR", "HOSTNAME", "HOST", "XDG_RUNTIME_DIR", "KRB5CCNAME"]  # fmt: skip
    whole += [name for backend in every() for name in backend.whole_variables]
    return re.compile(f"(?:{'|'.join(begins)})|(?:{'|'.join(whole)})\\Z")


def names_hosts(environment) -> bool:
    """Whether this is a job of some scheduler that says which hosts it has."""
    return any(environment.get(variable) for backend in every() for variable in backend.hosts_variables)
