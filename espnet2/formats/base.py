"""What a form of another library is: how its layers count, what it is compared with, how it is read and written."""

from abc import ABC, abstractmethod
from collections.abc import Set
from pathlib import Path
from typing import ClassVar

from espnet2.formats.compare import OtherSide
from espnet2.formats.forms import Source
from espnet2.formats.incoming import Foreign


class Format(ABC):
    """One file `espnet2/formats/<name>.py` holds one subclass: a Reader, a Writer, or both; users type <name>."""

    title: ClassVar[str]  # of the library, in messages
    layers: ClassVar[str]  # how it numbers them, for the card
    other_side: ClassVar[str]  # what the model of this toolkit is compared with, for the card

    @abstractmethod
    def run(self, path: Path) -> OtherSide:
        """The model of that file or folder as a user of the library has it.

        Raises:
            UserError: the library is not installed.
        """


class Reader(Format):
    """A form whose models are imported."""

    order: ClassVar[int]  # the smallest is asked first whose file it is

    @abstractmethod
    def read(self, path: Path) -> Foreign:
        """A file or folder of the library.

        Raises:
            UserError: it is damaged, of another kind, or of an architecture without a form here.
        """

    @abstractmethod
    def recognises(self, path: Path, keys: Set[str]) -> bool:
        """Whether a file or folder is of this library, as far as a look tells.

        Args:
            keys: at the top of a file's content, and "model.<key>" below its `model`; none of a folder.
        """


class Writer(Format):
    """A form that models are exported to."""

    @abstractmethod
    def write(self, source: Source, folder: Path) -> list[str]:
        """Fill a folder.

        Returns:
            Names of weights that the format does not hold.

        Raises:
            UserError: the library is not installed, or has no form of this architecture.
        """
