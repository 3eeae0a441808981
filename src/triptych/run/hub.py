"""The Hugging Face Hub, through the optional `huggingface_hub`: `hub:OWNER/NAME@REVISION`, and what is sent there.

Only files that cannot run anything are fetched: JSON, safetensors, PNG and the card's text.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from triptych.errors import UserError
from triptych.system.cache import root
from triptych.system.files import making_folder

PREFIX = "hub:"
NAME = re.compile(r"[\w.-]+/[\w.-]+")
FETCHED = ("*.json", "metrics.jsonl", "model.safetensors", "README.md", "samples/*.png", "samples/*.webp")


def is_address(place: str | Path) -> bool:
    """Whether this is a run on the Hub and no path."""
    return str(place).startswith(PREFIX)


def split(address: str) -> tuple[str, str | None]:
    """OWNER/NAME and the revision, where one is given; UserError for what is no address."""
    name, _, revision = address.removeprefix(PREFIX).partition("@")
    if not NAME.fullmatch(name):
        raise UserError(f"{address!r} is no place on the Hub; write hub:OWNER/NAME or hub:OWNER/NAME@REVISION")
    return name, revision or None


def library() -> Any:
    """huggingface_hub; UserError with what to install where it is not here."""
    try:
        import huggingface_hub
    except ImportError as e:
        raise UserError(f"the Hub needs huggingface_hub ({e}); pip install 'triptych[hub]'") from e
    return huggingface_hub


def endpoint() -> str | None:
    """Another server that speaks as the Hub does, from $HF_ENDPOINT."""
    return os.environ.get("HF_ENDPOINT")


def fetch(address: str) -> Path:
    """The folder, in the cache, of a run on the Hub: whole, and kept by its commit, so that it is fetched once."""
    name, revision = split(address)
    hub = library()
    with said(name, revision):
        commit = hub.HfApi(endpoint(), library_name="triptych").model_info(name, revision=revision).sha
        folder = root() / "hub" / f"{name.replace('/', '--')}@{commit}"
        if not folder.exists():
            with making_folder(folder, "set TRIPTYCH_CACHE to a folder that can be written") as part:
                hub.snapshot_download(
                    name, revision=commit, local_dir=part, allow_patterns=list(FETCHED), endpoint=endpoint()
                )
                shutil.rmtree(part / ".cache", ignore_errors=True)  # the library's own notes
                if not (part / "recipe.json").is_file():
                    raise UserError(f"{address} is no run: it has no recipe.json; give one that `triptych push` made")
    return folder


def send(folder: Path, name: str, revision: str | None, *, private: bool) -> str:
    """Upload a folder as a commit of the model OWNER/NAME, made where it does not exist; the address of the commit."""
    split(PREFIX + name)
    hub = library()
    if hub.get_token() is None:
        raise UserError("there is no account to push with; `hf auth login`, or set HF_TOKEN, and push again")
    api = hub.HfApi(endpoint(), library_name="triptych")
    with said(name, revision):
        api.create_repo(name, private=private or None, exist_ok=True)
        if revision is not None:
            api.create_branch(name, branch=revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=name, folder_path=folder, revision=revision, commit_message="A run of triptych"
        )
    return f"{PREFIX}{name}@{done.oid}"


@contextmanager
def said(name: str, revision: str | None) -> Iterator[None]:
    """The library's errors as one line each."""
    from huggingface_hub import errors, utils

    utils.disable_progress_bars()
    try:
        yield
    except errors.RevisionNotFoundError as e:
        raise UserError(f"{name} has no revision {revision!r}; leave @{revision} out for the newest") from e
    except errors.RepositoryNotFoundError as e:
        raise UserError(f"{name} is not on the Hub, or not for this account; check the name, or `hf auth login`") from e
    except errors.HfHubHTTPError as e:
        status = 0 if e.response is None else e.response.status_code
        advice = {401: "`hf auth login` again", 403: "the account may not do that; ask its owner"}.get(
            status, "try again"
        )
        raise UserError(f"the Hub refused {name} ({first_line(e)}); {advice}") from e
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as e:  # the transport's own: no network, no such host, cut in the middle
        raise UserError(
            f"the Hub could not be reached for {name} ({first_line(e)}); check the network, try again"
        ) from e


def first_line(e: Exception) -> str:
    return next((line.strip() for line in str(e).splitlines() if line.strip()), type(e).__name__)[:200]
