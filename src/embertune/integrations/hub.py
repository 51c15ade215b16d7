"""The Hugging Face hub: adapters there and back, in the format of the folder on disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.adapters.artifact import check_target, load_adapter, write_folder
from embertune.adapters.base import Adapter
from embertune.adapters.canaries import CANARY_FILE, CANARY_TEXTS
from embertune.core.paths import as_path
from embertune.core.secrets import scrub
from embertune.errors import ArtifactError, ConfigError, StorageError

__all__ = ["Transfer", "pull", "push"]

_FILES = ("config.json", "adapter.safetensors", CANARY_FILE, "record.json", "README.md", "report.html")
_PATTERNS = [*_FILES, *(f"candidate/{name}" for name in _FILES)]


@dataclass(frozen=True)
class Transfer:
    """What went where; printing it says so.

    Attributes:
        repo: OWNER/NAME on the hub.
        revision: The commit there.
        folder: Here.
        files: What was transferred.
        left_out: What was not, because it may hold texts of the data.
    """

    repo: str
    revision: str
    folder: str
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        """Say what went where."""
        said = f"{self.folder} · {self.repo} at {self.revision[:12]}: {', '.join(self.files)}"
        if self.left_out:
            said += (
                f"\nleft out: {', '.join(self.left_out)} (may hold texts of your data; --with-texts takes them along)"
            )
        return said


def push(
    folder: str | Path, repo: str, *, with_texts: bool = False, public: bool = False, message: str | None = None
) -> Transfer:
    """Upload a saved adapter; the key is read from the environment variable HF_TOKEN alone.

    Left out unless `with_texts`: report.html, which quotes queries and documents; attachments of your own; a record
    whose ids look like texts; canaries that are no longer the built-in ones.

    Args:
        folder: A saved adapter.
        repo: OWNER/NAME; made if it is not there.
        with_texts: Upload what holds texts of the data, too.
        public: Whether a repository that is made is for everybody.
        message: Of the commit.

    Raises:
        ArtifactError: The folder holds no sound adapter.
        ConfigError: HF_TOKEN is not set, or the name is impossible.
        MissingExtraError: huggingface_hub is not installed.
        StorageError: The hub refused, or could not be reached.

    Example:
        >>> push("a-folder-that-is-not-there", "me/my-adapter")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ArtifactError: ...
    """
    source = as_path(folder)
    adapter = load_adapter(source)
    if not os.environ.get("HF_TOKEN"):
        raise ConfigError("Pushing needs a key with the right to write. Type: export HF_TOKEN=hf_...")
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    left_out = () if with_texts else tuple(name for name in names if _may_hold_texts(source / name, name, adapter))
    files = tuple(name for name in names if name not in left_out)
    with _hub(repo) as (api, hub):
        api.create_repo(repo, private=not public, exist_ok=True)
        done = api.create_commit(
            repo,
            [hub.CommitOperationAdd(name, source / name) for name in files],
            commit_message=message or f"Embertune {adapter.type} adapter",
        )
    return Transfer(repo, str(done.oid), str(source), files, left_out)


def pull(repo: str, folder: str | Path, *, revision: str | None = None) -> Transfer:
    """Download an adapter; it is looked through before it takes its place, and nothing in it is ever executed.

    Args:
        repo: OWNER/NAME.
        folder: Where to; an earlier saved adapter there is replaced.
        revision: A branch, tag or commit.

    Raises:
        ArtifactError: The repository holds no sound adapter.
        ConfigError: The name is impossible.
        MissingExtraError: huggingface_hub is not installed.
        StorageError: The hub refused or could not be reached, or something else stands in the folder.

    Example:
        >>> pull("no owner and no name", "my-adapter")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ConfigError: ...
    """
    target = check_target(folder)
    with tempfile.TemporaryDirectory() as place:
        loaded = Path(place) / "adapter"
        with _hub(repo) as (api, _):
            commit = str(api.repo_info(repo, revision=revision).sha)
            api.snapshot_download(repo, revision=commit, local_dir=loaded, allow_patterns=_PATTERNS)
        shutil.rmtree(loaded / ".cache", ignore_errors=True)  # what the client notes for itself
        try:
            load_adapter(loaded)
        except ArtifactError as error:
            raise ArtifactError(str(error).replace(str(loaded), f"{repo} on the hub")) from None
        files = tuple(sorted(path.relative_to(loaded).as_posix() for path in loaded.rglob("*") if path.is_file()))
        write_folder(target, lambda staging: _copy(loaded, staging))
    return Transfer(repo, commit, str(target), files)


def _copy(source: Path, staging: Path) -> None:
    shutil.copytree(source, staging, dirs_exist_ok=True)
    staging.chmod(0o755)


def _may_hold_texts(path: Path, name: str, adapter: Adapter) -> bool:
    plain = path.name if name == f"candidate/{path.name}" else name
    if plain == "record.json":
        queries = json.loads(path.read_text(encoding="utf-8")).get("queries") or []
        return any(" " in str(query.get("id", "")) for query in queries)
    if plain == CANARY_FILE and adapter.canaries is not None:
        return (adapter.canaries.queries, adapter.canaries.documents) != (
            CANARY_TEXTS["query"],
            CANARY_TEXTS["document"],
        )
    return plain not in ("config.json", "adapter.safetensors", "README.md", CANARY_FILE)


@contextmanager
def _hub(repo: str) -> Iterator[tuple[Any, Any]]:
    """Give the client, and say in our words what it says in its own."""
    hub: Any = require("huggingface_hub", extra="hub", purpose="The Hugging Face hub")
    errors: Any = require("huggingface_hub.errors", extra="hub", purpose="The Hugging Face hub")
    # False: no key but that of the environment is looked for, such as one of an earlier login.
    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN") or False)
    try:
        yield api, hub
    except errors.HFValidationError as error:
        raise ConfigError(f"{repo!r} is no name of a repository: {error} Expected OWNER/NAME.") from None
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError):
        raise StorageError(
            f"{repo} was not found on the hub, or HF_TOKEN gives no right to it. Look at its name and revision."
        ) from None
    except Exception as error:  # those of httpx, on which the client stands, are of no narrower kind
        lines = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
        raise StorageError(f"The hub could not be used for {repo}: {scrub(lines[0])}") from None
