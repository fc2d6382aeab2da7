"""Times, and memory of this process, as they are measured and kept for a table."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 2**20


@dataclass
class Figures:
    """Name -> (wall seconds, processor seconds), and what is said beside."""

    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Time a block under this name, and print it."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.seconds[name] = (time.perf_counter() - wall, time.process_time() - processor)
        print(f"{name}: {self.seconds[name][0]:.3f} s, {self.seconds[name][1]:.3f} s of the processor", flush=True)

    def say(self, name: str, text: str) -> None:
        """Keep and print what is no time."""
        self.notes[name] = text
        print(f"{name}: {text}", flush=True)


def private_bytes() -> int:
    """Memory of this process alone: pages of mapped files are not in it, even before they are on the disk."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line.startswith("Anonymous:")]
    return sum(1024 * int(words[1]) for words in lines)


def utt_id_of(number: int) -> str:
    """A thousand utterances to a speaker."""
    return f"spk{number // 1000:06d}-{number:09d}"
