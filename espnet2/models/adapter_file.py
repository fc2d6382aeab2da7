"""What a file of adapters says about itself, read without loading torch."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

BASE, BASE_HASH, CONF = "adapter_base", "adapter_base_hash", "adapter_conf"  # keys of its metadata


def adapter_metadata(path: Path) -> dict[str, str] | None:
    """The metadata of adapters that stand apart from their model; None for any other file."""
    try:
        with safe_open(path, "numpy") as opened:
            about: dict[str, str] = opened.metadata() or {}
    except (SafetensorError, OSError):
        return None
    return about if BASE_HASH in about else None
