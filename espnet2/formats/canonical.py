"""Canonical names of weights: ours become them, they become ours, and a table of `names.py` renames them.

Canonical names are ours with queries, keys and values apart, positions always with weight norm, and the exported loss
entry called `objective`.
"""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from espnet2.formats.names import POSITION

QKV = ("query", "key", "value")
WEIGHT_NORM = {"original0": "weight_g", "original1": "weight_v"}  # torch from 2.1 on -> before
# Entries that others keep with more dimensions of size one, or with two of ours as one.
WIDER: dict[str, Callable[[Tensor], Tensor]] = {
    r"encoder\.blocks\.\d+\.attention\.position\.scale": lambda value: value[None, :, None, None],
    r"encoder\.attention_position\.scale": lambda value: value[None, None, :, None, None],
    r"encoder\.blocks\.\d+\.convolution\.(gated|output)\.weight": lambda value: value[..., None],
    r"objective\.quantizer\.codes": lambda value: value.flatten(0, 1)[None],
}


def rename(state: Mapping[str, Tensor], table: Mapping[str, str]) -> tuple[dict[str, Tensor], list[str]]:
    """The entries that the table knows under their new names, and the names of the others."""
    rules = [(re.compile(re.escape(old).replace(r"\*", r"(\d+)") + r"(?=\.|$)"), new) for old, new in table.items()]
    renamed, left = {}, []
    for name, value in state.items():
        match, new = next(((hit, new) for rule, new in rules if (hit := rule.match(name))), (None, ""))
        if match is None:
            left.append(name)
            continue
        for number in match.groups():
            new = new.replace("*", number, 1)
        renamed[new + name[match.end() :]] = value
    return renamed, left


def reverse(table: Mapping[str, str]) -> dict[str, str]:
    """The table for the way back."""
    return {theirs: ours for ours, theirs in table.items()}


def to_canonical(state: Mapping[str, Tensor], entry: str, *, qkv: bool = False) -> dict[str, Tensor]:
    """Our state dict under canonical names, without other loss entries and without teachers.

    Args:
        entry: name of the loss entry whose weights are kept.
        qkv: leave queries, keys and values in one.
    """
    canonical = {}
    for name, value in state.items():
        if name.startswith("objectives."):
            name = _beyond(name, f"objectives.{entry}.", "objective.")
        if name and not name.startswith("objective.teacher."):
            canonical[name] = value
    if f"{POSITION}.weight" in canonical:
        canonical |= _with_weight_norm(canonical.pop(f"{POSITION}.weight"))
    canonical = canonical if qkv else _split(canonical)
    for pattern, widen in WIDER.items():
        canonical |= {name: widen(value) for name, value in canonical.items() if re.fullmatch(pattern, name)}
    return canonical


def from_canonical(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], entry: str) -> dict[str, Tensor]:
    """Canonical names and shapes to those of our model; a shape that does not fit stays for `load_state_dict` to name.

    Args:
        shapes: of our model's state dict.
    """
    ours = {}
    for name, value in _join(state).items():
        wider = any(re.fullmatch(pattern, name) for pattern in WIDER)
        name = f"objectives.{entry}.{name.removeprefix('objective.')}" if name.startswith("objective.") else name
        fits = wider and name in shapes and value.numel() == shapes[name].numel()
        ours[name] = value.reshape(shapes[name]) if fits else value
    return ours


def modern_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weight norm as torch keeps it since 2.1: `parametrizations.weight.original0` for `weight_g`."""
    renamed = {}
    for name, value in state.items():
        for new, old in WEIGHT_NORM.items():
            if name.endswith(f".{old}"):
                name = name.removesuffix(old) + f"parametrizations.weight.{new}"
        renamed[name] = value
    return renamed


def old_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The way back from `modern_weight_norm`."""
    renamed = {}
    for name, value in state.items():
        for new, old in WEIGHT_NORM.items():
            name = name.replace(f"parametrizations.weight.{new}", old)
        renamed[name] = value
    return renamed


def _beyond(name: str, prefix: str, replacement: str) -> str:
    """The name with another prefix; "" where it does not have this one."""
    return replacement + name.removeprefix(prefix) if name.startswith(prefix) else ""


def _with_weight_norm(weight: Tensor) -> dict[str, Tensor]:
    """A plain kernel (dim, dim / groups, kernel) as lengths and directions of its positions.

    torch multiplies the directions with length / norm, which is 1 but for its last digit. Where all weights of a
    position are zero, the length is zero and any direction will do.
    """
    length = torch.norm_except_dim(weight, 2, 2)
    direction = torch.where(length > 0, weight, torch.ones_like(weight))
    prefix = f"{POSITION}.parametrizations.weight"
    return {f"{prefix}.original0": length, f"{prefix}.original1": direction}


def _split(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`qkv` as its three parts."""
    parts: dict[str, Tensor] = {}
    for name, value in state.items():
        before, separator, after = name.partition(".attention.qkv.")
        if separator:
            chunks = value.chunk(len(QKV))
            parts |= {f"{before}.attention.{part}.{after}": chunk for part, chunk in zip(QKV, chunks, strict=True)}
        else:
            parts[name] = value
    return parts


def _join(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The three parts as `qkv`; where one is not there, the query keeps its name, for the importer to report."""
    joined = {}
    for name, value in state.items():
        before, separator, after = name.partition(".attention.query.")
        others = [f"{before}.attention.{part}.{after}" for part in QKV[1:]] if separator else []
        if separator and all(other in state for other in others):
            joined[f"{before}.attention.qkv.{after}"] = torch.cat([value, *(state[other] for other in others)])
        elif not re.search(r"\.attention\.(key|value)\.", name):
            joined[name] = value
    return joined
