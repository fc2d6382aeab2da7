"""Calls of the Hugging Face Hub, and the upload of a folder; whatever goes wrong there is one message."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from espnet2.utils.errors import UserError
from espnet2.utils.extras import needs

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
Result = TypeVar("Result")


def import_hub() -> ModuleType:
    """The client library.

    Raises:
        UserError: it is not installed.
    """
    with needs("Hugging Face repositories need huggingface_hub: pip install 'espnet2-ssl[hub]'"):
        import huggingface_hub
    return huggingface_hub


def hub_call(call: Callable[[], Result], what: str) -> Result:
    """The result of a call of the client library; whatever goes wrong there is one message.

    Raises:
        UserError: no network, no such repository, no permission.
    """
    try:
        return call()
    except Exception as error:  # the client's layers (HTTP, cache, validation) each raise kinds of their own
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{what}: {first}; {_remedy(status)}") from None


def _remedy(status: int | None) -> str:
    if status in (401, 403):
        return "log in with a token that may do this: hf auth login, or HF_TOKEN in the environment"
    if status == 404:
        return "check the name; a private repository needs a token (hf auth login, or HF_TOKEN)"
    return "check the network (and HF_ENDPOINT, HF_HUB_OFFLINE), then run the same command again"


def upload_folder(folder: str | Path, repository: str, *, private: bool = False, message: str | None = None) -> str:
    """Make the repository if need be and put the files of a packed folder there, in one commit.

    Args:
        folder: what `ssl_pack` wrote; it stays as it is, whatever happens.
        repository: "<user or organisation>/<name>".

    Returns:
        The address of the commit.

    Raises:
        UserError: no such folder, not a repository's name, no token, no network, no permission.
    """
    folder = Path(folder)
    if not (folder / "model.safetensors").is_file():
        raise UserError(f"{folder}: no packed model there; run stage 9 first")
    if not REPOSITORY.fullmatch(repository):
        raise UserError(f"--hf_repo '{repository}': expected <user or organisation>/<name>")
    hub = import_hub()
    kept = f"{folder} is as it was"
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        raise UserError(f"--hf_repo {repository}: HF_HUB_OFFLINE is set; {kept}, upload it from a machine with network")
    if not hub.get_token():
        raise UserError(
            f"--hf_repo {repository}: no token; log in with 'hf auth login' or set HF_TOKEN, then run stage 10 again; "
            f"{kept}"
        )
    api = hub.HfApi()
    what = f"upload to {repository} failed ({kept})"
    hub_call(lambda: api.create_repo(repository, private=private, exist_ok=True), what)
    commit = hub_call(
        lambda: api.upload_folder(
            repo_id=repository, folder_path=str(folder), commit_message=message or f"Upload {folder.name}"
        ),
        what,
    )
    return str(commit.commit_url)
