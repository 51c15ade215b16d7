"""The Hugging Face hub: adapters there and back, models there, in the format of the folder on disk."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from embertune.adapters.artifact import check_target, load_adapter, write_folder
from embertune.adapters.base import Adapter
from embertune.adapters.canaries import CANARY_FILE, CANARY_TEXTS
from embertune.core.paths import as_path
from embertune.errors import ArtifactError
from embertune.recipes.hub import Transfer, check_upload, is_model, names_texts, open_hub, push_model, upload

__all__ = ["Transfer", "pull", "push"]

_FILES = ("config.json", "adapter.safetensors", CANARY_FILE, "record.json", "README.md", "report.html")
_PATTERNS = [*_FILES, *(f"candidate/{name}" for name in _FILES)]


def push(
    folder: str | Path, repo: str, *, with_texts: bool = False, public: bool = False, message: str | None = None
) -> Transfer:
    """Upload a saved adapter, or a fine-tuned model; the key is read from the environment variable HF_TOKEN alone.

    Left out unless `with_texts`: report.html, which quotes queries and documents; attachments of your own; a record
    whose ids look like texts; canaries that are no longer the built-in ones; of a model every file that is none of it.

    Args:
        folder: A saved adapter, or what `embertune.finetune` saved.
        repo: OWNER/NAME; made if it is not there.
        with_texts: Upload what holds texts of the data, too.
        public: Whether a repository that is made is for everybody.
        message: Of the commit.

    Raises:
        ArtifactError: The folder holds no sound adapter, and no model.
        ConfigError: HF_TOKEN is not set, or the name is impossible.
        MissingExtraError: huggingface_hub is not installed.
        StorageError: The hub refused, or could not be reached.

    Example:
        >>> push("a-folder-that-is-not-there", "me/my-adapter")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        ArtifactError: ...
    """
    source = as_path(folder)
    if is_model(source):
        return push_model(source, repo, with_texts=with_texts, public=public, message=message)
    adapter = load_adapter(source)
    check_upload(repo)
    names = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    left_out = () if with_texts else tuple(name for name in names if _may_hold_texts(source / name, name, adapter))
    return upload(source, repo, names, left_out, public=public, message=message or f"Embertune {adapter.type} adapter")


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
        with open_hub(repo) as (api, _):
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
        return names_texts(path)
    if plain == CANARY_FILE and adapter.canaries is not None:
        return (adapter.canaries.queries, adapter.canaries.documents) != (
            CANARY_TEXTS["query"],
            CANARY_TEXTS["document"],
        )
    return plain not in ("config.json", "adapter.safetensors", "README.md", CANARY_FILE)
