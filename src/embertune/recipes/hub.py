"""What goes to the Hugging Face hub: the client with the key of the environment, and a fine-tuned model by it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from embertune._optional import require
from embertune.core.first_line import first_line
from embertune.core.paths import as_path
from embertune.core.secrets import scrub
from embertune.data.words import words_of
from embertune.errors import ArtifactError, ConfigError, StorageError

__all__ = ["Transfer", "check_upload", "is_model", "names_texts", "open_hub", "push_model", "upload"]

_NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
# What sentence-transformers, transformers and Embertune write of a model; anything else may be about somebody's data.
_OF_A_MODEL = (
    "*.safetensors", "*.safetensors.index.json", "*.model", "added_tokens.json", "chat_template.jinja", "config.json",
    "config_sentence_transformers.json", "merges.txt", "modules.json", "router_config.json", "sentence_*_config.json",
    "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt",
)  # fmt: skip
# These name the folders of a model's modules, and as "FILE.Class" the code that comes with it.
_NAMING = ("modules.json", "router_config.json", "config.json")
_CODE = re.compile(r'"(?:[^"]*--)?(\w+)\.\w+"')
_IMPORTED = re.compile(r"^\s*(?:from|import)\s+\.(\w+)", re.MULTILINE)


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


def is_model(folder: str | Path) -> bool:
    """Whether a folder holds a sentence-transformers model."""
    return (as_path(folder) / "modules.json").is_file()


def check_upload(repo: str) -> None:
    """Refuse before any work what the hub would refuse after it.

    Args:
        repo: OWNER/NAME.

    Raises:
        ConfigError: HF_TOKEN is not set, or the name is impossible.
    """
    if not _NAME.fullmatch(repo):
        raise ConfigError(f"{repo!r} is no name of a repository. Expected OWNER/NAME.")
    if not os.environ.get("HF_TOKEN"):
        raise ConfigError("Pushing needs a key with the right to write. Type: export HF_TOKEN=hf_...")


def push_model(
    folder: str | Path, repo: str, *, with_texts: bool = False, public: bool = False, message: str | None = None
) -> Transfer:
    """Upload a fine-tuned model, so that ``SentenceTransformer(repo)`` loads it.

    Left out unless `with_texts`: report.html, which quotes queries and documents; rankings; a record whose ids look
    like texts; every file that is none of a model.

    Args:
        folder: What `embertune.finetune` saved, or any folder that ``SentenceTransformer`` loads.
        repo: OWNER/NAME; made if it is not there.
        with_texts: Upload what holds texts of the data, too.
        public: Whether a repository that is made is for everybody.
        message: Of the commit.

    Raises:
        ArtifactError: The folder holds no model.
        ConfigError: HF_TOKEN is not set, or the name is impossible.
        MissingExtraError: huggingface_hub is not installed.
        StorageError: The hub refused, or could not be reached.
    """
    source = as_path(folder)
    if not is_model(source):
        raise ArtifactError(f"{source} is no model: modules.json was not found there. Name the output_dir of finetune.")
    check_upload(repo)
    # Hidden files are what clients and systems note for themselves.
    names = sorted(
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts)
    )
    left_out = () if with_texts else tuple(name for name in names if _may_hold_texts(source, name))
    return upload(source, repo, names, left_out, public=public, message=message or "Fine-tuned with Embertune")


def _may_hold_texts(source: Path, name: str) -> bool:
    path = source / name
    if name == "record.json":
        return names_texts(path)
    if name == "README.md":
        return False
    if path.suffix == ".py":
        is_known = path.name in _code(path.parent)
    else:
        is_known = any(fnmatch(path.name, pattern) for pattern in _OF_A_MODEL)
    return not (is_known and _is_module(path.parent, source))


def _is_module(folder: Path, source: Path) -> bool:
    """Whether a model keeps one of its modules in a folder, or itself."""
    if folder == source:
        return True
    return f'"{folder.name}"' in _naming(folder.parent) and _is_module(folder.parent, source)


def _code(folder: Path) -> set[str]:
    """Give the Python files that a model names, and those beside them that they import."""
    found: set[str] = set()
    ahead = _CODE.findall(_naming(folder))
    while ahead:
        path = folder / f"{ahead.pop()}.py"
        if path.name not in found and path.is_file():
            found.add(path.name)
            ahead += _IMPORTED.findall(path.read_text(encoding="utf-8", errors="replace"))
    return found


def _naming(folder: Path) -> str:
    paths = [folder / name for name in _NAMING]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file())


def names_texts(record: Path) -> bool:
    """Whether the ids of a record look like texts, of more than one word; one that cannot be read may hold anything."""
    try:
        told = json.loads(record.read_text(encoding="utf-8"))
        return any(len(words_of(str(query["id"]))) > 1 for query in told.get("queries") or [])
    except (ValueError, TypeError, AttributeError, KeyError):
        return True


def upload(
    source: Path, repo: str, names: Sequence[str], left_out: Sequence[str], *, public: bool, message: str
) -> Transfer:
    """Upload files of a folder as one commit.

    Args:
        source: The folder.
        repo: OWNER/NAME; made if it is not there.
        names: What lies in it.
        left_out: What of that stays here.
        public: Whether a repository that is made is for everybody.
        message: Of the commit.

    Raises:
        ConfigError: The name is impossible.
        MissingExtraError: huggingface_hub is not installed.
        StorageError: The hub refused, or could not be reached.
    """
    files = tuple(name for name in names if name not in left_out)
    with open_hub(repo) as (api, hub):
        api.create_repo(repo, private=not public, exist_ok=True)
        additions = [hub.CommitOperationAdd(name, source / name) for name in files]
        done = api.create_commit(repo, additions, commit_message=message)
    return Transfer(repo, str(done.oid), str(source), files, tuple(left_out))


@contextmanager
def open_hub(repo: str) -> Iterator[tuple[Any, Any]]:
    """Give the client, and say in our words what it says in its own.

    Raises:
        ConfigError: The name is impossible.
        MissingExtraError: huggingface_hub is not installed.
        StorageError: The hub refused, or could not be reached.
    """
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
        said = scrub(first_line(error.__cause__ or error))
        raise StorageError(f"The hub could not be used for {repo}: {said}") from None
