"""Names of parts of an evaluation in, the parts out, in the order in which they need each other."""

from collections.abc import Sequence
from importlib import import_module

from espnet2.evaluate.part import Part
from espnet2.utils.errors import UserError

PARTS = {  # name -> its module and its one object there; ABX and examples take the best layers that the units found
    "units": ("espnet2.evaluate.units.part", "UNITS"),
    "abx": ("espnet2.evaluate.abx.part", "ABX"),
    "probes": ("espnet2.evaluate.probes.part", "PROBES"),
    "examples": ("espnet2.evaluate.examples", "EXAMPLES"),
}


def find_parts(names: Sequence[str]) -> list[Part]:
    """The parts of these names, imported only when asked for.

    Raises:
        UserError: an unknown name, or none at all.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        raise UserError(f"--parts '{' '.join(names)}': expected some of {', '.join(PARTS)}")
    wanted = [PARTS[name] for name in PARTS if name in names]
    return [getattr(import_module(module), value) for module, value in wanted]
