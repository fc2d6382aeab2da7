"""Every option that scripts, programs and configs declare in, those that nothing reads out: a dead one is a defect."""

import ast
import re
from pathlib import Path

import pytest
from repository import ROOT, relative, text_of

from espnet2.ssl.encoder import encoder_class, encoder_names
from espnet2.ssl.frontend import frontend_class, frontend_names
from espnet2.ssl.objective import objective_class, objective_names
from espnet2.tasks.config import SSLConfig
from espnet2.train.config import SamplingConfig
from espnet2.train.optimizer import AdamWConfig
from espnet2.train.scheduler import SCHEDULES

SSL1, HUBERT1 = ROOT / "egs2/TEMPLATE/ssl1", ROOT / "egs2/TEMPLATE/hubert1"
SHARED = SSL1 / "scripts/common/options.sh"
DECLARED = re.compile(r"^([a-z_0-9]+)=.*?(?:  *#.*)?$", re.MULTILINE)
ONLY_ONE_VALUE = {"batch_type"}  # ESPnet's name for how batches are measured; here there is one way


def option_block(script: Path) -> str:
    """The lines that declare options: up to the mark of the templates, or to the first sourced file."""
    text = text_of(script) or ""
    end = re.search(r"^# --- end of options$|^\. utils/", text, re.MULTILINE)
    return text[: end.start()] if end else text


def options_of(script: Path) -> list[str]:
    return [name for name in DECLARED.findall(option_block(script)) if f"{name}=" in option_block(script)]


def is_read(name: str, *texts: str) -> bool:
    """Tell whether a shell variable is expanded anywhere, or tested by its name."""
    return any(re.search(rf"\$\{{?{name}\b", text) for text in texts)


def with_sourced(script: Path) -> list[str]:
    """The text of a script and of what it sources, without the declarations."""
    folder = HUBERT1 if script.is_relative_to(HUBERT1) else SSL1
    text = text_of(script) or ""
    sourced = [folder / name for name in re.findall(r"^\s*\. (scripts/\S+\.sh)", text, re.MULTILINE)]
    return [text[len(option_block(script)) :], *((text_of(path) or "") for path in sourced if path != SHARED)]


SCRIPTS = [SSL1 / "ssl1.sh", HUBERT1 / "hubert1.sh", *sorted(SSL1.glob("scripts/*/*.sh"))]
SCRIPTS += sorted(HUBERT1.glob("scripts/km/*.sh"))
WITH_OPTIONS = [path for path in SCRIPTS if "utils/parse_options.sh" in (text_of(path) or "")]


@pytest.mark.parametrize("script", WITH_OPTIONS, ids=relative)
def test_every_option_of_a_script_is_read(script: Path) -> None:
    texts = with_sourced(script)
    dead = [name for name in options_of(script) if not is_read(name, *texts)]
    assert options_of(script) and not dead, f"{relative(script)}: nothing reads {', '.join(dead)}"


def test_every_shared_option_is_read_by_ssl1() -> None:
    """hubert1.sh hands all of them on."""
    texts = with_sourced(SSL1 / "ssl1.sh")
    dead = [name for name in options_of(SHARED) if not is_read(name, *texts)]
    assert not dead, f"{relative(SHARED)}: nothing reads {', '.join(dead)}"


def test_a_dead_option_is_found(tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("used=1  # a\ndead=     # b\n# --- end of options\necho ${used}\n")
    assert [name for name in options_of(script) if not is_read(name, *with_sourced(script))] == ["dead"]


def program_options(path: Path) -> list[str]:
    """Names of the values that a program's argument parser gives."""
    calls = [node for node in ast.walk(ast.parse(text_of(path) or "")) if isinstance(node, ast.Call)]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    named = [{keyword.arg: keyword.value for keyword in call.keywords}.get("dest", call.args[0]) for call in added]
    return [name.value.lstrip("-").replace("-", "_") for name in named]


PROGRAMS = [path for path in sorted((ROOT / "espnet2/bin").glob("*.py")) if program_options(path)]


@pytest.mark.parametrize("program", [*PROGRAMS, ROOT / "espnet2/units/request.py"], ids=relative)
def test_every_option_of_a_program_is_read(program: Path) -> None:
    text = text_of(program) or ""
    dead = [
        name for name in program_options(program) if not re.search(rf"(args\w*|arguments|options|\(\))\.{name}\b", text)
        and not re.search(rf'names = \([^)]*"{name}"', text)
    ]  # fmt: skip
    assert not dead, f"{relative(program)}: nothing reads {', '.join(dead)}"


def config_classes() -> list[type]:
    parts = [encoder_class(name).Config for name in encoder_names()]
    parts += [frontend_class(name).Config for name in frontend_names()]
    parts += [objective_class(name).Config for name in objective_names()]
    return [SSLConfig, SamplingConfig, AdamWConfig, *SCHEDULES.values(), *parts]


@pytest.mark.parametrize("config", config_classes(), ids=lambda config: config.__qualname__)
def test_every_key_of_a_config_is_read(config: type) -> None:
    sources = [text_of(path) or "" for path in (ROOT / "espnet2").rglob("*.py")]
    read = {name for text in sources for name in re.findall(r'\.([a-z_0-9]+)\b|"([a-z_0-9]+)"', text) for name in name}
    dead = [name for name in config.model_fields if name not in read | ONLY_ONE_VALUE]
    assert not dead, f"{config.__qualname__}: nothing reads {', '.join(dead)}"
