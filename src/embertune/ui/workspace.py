"""The folder on disk that the workbench works in: data sets, runs, feedback, settings. There is no other state.

* ``data/<id>/data.json``: name and versions; ``<name>-v1/``, ``<name>-v2/``, …: BEIR folders; ``source/``: uploads
* ``uploads/<id>/``: documents that queries were written for
* ``runs/<id>/``: an adapter with its record and report, as ``embertune tune --out`` writes it
* ``jobs/<id>/``: what was asked of a run, and how far it is; see `embertune.ui.jobs`
* ``feedback/votes.jsonl``: thumbs of the Ask tab, one JSON object per line, as ``embertune feedback`` reads them
* ``settings.json``: what the user chose last
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from embertune.core.files import write_whole
from embertune.core.paths import as_path
from embertune.data.dataset import Dataset
from embertune.data.io import load_dataset
from embertune.errors import DataError, EmbertuneError, StorageError
from embertune.reports.record import Record

__all__ = ["DataEntry", "RunEntry", "Version", "Workspace", "new_id"]

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,80}")


class Version(NamedTuple):
    """One version of a data set; none is ever changed, an edit makes the next."""

    number: int
    created: str
    note: str
    fingerprint: str
    documents: int
    queries: int
    notes: tuple[str, ...] = ()
    """What reading the source said."""


class DataEntry(NamedTuple):
    """A data set of the workspace."""

    id: str
    name: str
    versions: tuple[Version, ...]

    @property
    def latest(self) -> Version:
        """The newest version."""
        return self.versions[-1]


class RunEntry(NamedTuple):
    """A finished run: a folder with an adapter and its record."""

    id: str
    folder: Path
    record: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What lists call it."""
        return f"{self.record['name']} · {self.id}"


def new_id(name: str) -> str:
    """Give an id for a folder: the time and the name, in letters that every system takes; no two calls give one id.

    Example:
        >>> new_id("My FAQ (2)/../x").split("-", 2)[2]
        'my-faq-2-x'
    """
    with _clock:
        time.sleep(0.001)
        now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03d}"
    return f"{stamp}-{_slug(name)}"


class Workspace:
    """The folder of a workbench; made if absent.

    Args:
        folder: Where.

    Raises:
        StorageError: It cannot be made or written to.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     bench = Workspace(folder)
        ...     entry = bench.add(Dataset.from_pairs([("how old?", "Built in 1900.")]), "My bridge")
        ...     entry.latest.queries, list(bench.load(entry.id).queries.values())
        (1, ['how old?'])
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = as_path(folder).resolve()
        try:
            for name in ("data", "runs", "jobs", "feedback", "uploads"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.folder} cannot be made: {error.strerror or error}. Name another folder: embertune ui FOLDER"
            ) from None
        self._lock = threading.Lock()
        self._load = lru_cache(maxsize=4)(_read)

    def inside(self, kind: str, name: str) -> Path:
        """Give the folder of a data set, run or job by its id.

        Raises:
            DataError: The id is none, such as "../other", so no path leaves the workspace.
        """
        if not _ID.fullmatch(name):
            raise DataError(f"{name[:80]!r} is not the name of anything in this workspace. Choose one from the list.")
        return self.folder / kind / name

    def add(
        self, dataset: Dataset, name: str, *, source: Path | None = None, note: str = "loaded", key: str = ""
    ) -> DataEntry:
        """Keep a data set, and what it came from.

        Args:
            dataset: What.
            name: What lists call it.
            source: A file or a folder, copied beside it.
            note: Where it comes from, in a few words.
            key: Its id; a new one if not given.

        Raises:
            StorageError: The disk refused; nothing is left of it.
        """
        key = key or new_id(name)
        folder = self.inside("data", key)
        try:
            folder.mkdir()
            if source is not None:
                copy = shutil.copytree if source.is_dir() else shutil.copy2
                (folder / "source").mkdir()
                copy(source, folder / "source" / source.name)
            return self._add_version(DataEntry(key, name, ()), dataset, note)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise StorageError(
                f"The data set {name!r} could not be kept: {error.strerror or error}. Nothing was changed; "
                "free some space and load it again."
            ) from None

    def add_version(self, key: str, dataset: Dataset, note: str) -> DataEntry:
        """Keep a changed data set as the next version; those before stay as they are.

        Raises:
            DataError: There is no such data set.
            StorageError: The disk refused; the versions before are unharmed.
        """
        with self._lock:
            return self._add_version(self.data(key), dataset, note)

    def _add_version(self, entry: DataEntry, dataset: Dataset, note: str) -> DataEntry:
        number = len(entry.versions) + 1
        folder = self.inside("data", entry.id)
        dataset.save(folder / _version_folder(entry.name, number))
        version = Version(
            number, _now(), note, dataset.fingerprint, len(dataset.corpus), len(dataset.queries), dataset.notes
        )
        entry = entry._replace(versions=(*entry.versions, version))
        told = {"name": entry.name, "versions": [each._asdict() for each in entry.versions]}
        write_whole(folder / "data.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return entry

    def datasets(self) -> list[DataEntry]:
        """List the data sets, newest first."""
        found = sorted((self.folder / "data").glob("*/data.json"), reverse=True)
        return [entry for path in found if (entry := _data_entry(path))]

    def data(self, key: str) -> DataEntry:
        """Give a data set by its id.

        Raises:
            DataError: There is no such data set.
        """
        entry = _data_entry(self.inside("data", key) / "data.json")
        if entry is None:
            raise DataError(f"There is no data set {key!r} in {self.folder}. Choose one from the list.")
        return entry

    def data_folder(self, key: str, version: int | None = None) -> Path:
        """Give the BEIR folder of a version, the newest if none is named.

        Raises:
            DataError: There is no such data set or version.
        """
        entry = self.data(key)
        number = entry.latest.number if version is None else int(version)
        if not 1 <= number <= len(entry.versions):
            raise DataError(f"{entry.name} has no version {number}; it has 1 to {len(entry.versions)}.")
        return self.inside("data", key) / _version_folder(entry.name, number)

    def load(self, key: str, version: int | None = None) -> Dataset:
        """Read a version of a data set; the last few that were read are kept in memory.

        Raises:
            DataError: There is no such data set or version, or its files were damaged.
        """
        folder = self.data_folder(key, version)
        return self._load(folder, self.data(key).name)

    def remove_data(self, key: str) -> None:
        """Delete a data set with all its versions and its source."""
        _remove(self.inside("data", key))

    def runs(self) -> list[RunEntry]:
        """List the finished runs, newest first; folders without a readable record are passed over."""
        found = (self.folder / "runs").glob("*/record.json")
        entries = [entry for path in found if (entry := _run_entry(path))]
        return sorted(entries, key=lambda entry: (str(entry.record["created"]), entry.id), reverse=True)

    def run(self, key: str) -> RunEntry:
        """Give a finished run by its id.

        Raises:
            DataError: There is no such run.
        """
        entry = _run_entry(self.inside("runs", key) / "record.json")
        if entry is None:
            raise DataError(f"There is no finished run {key!r} in {self.folder}. Choose one from the list.")
        return entry

    def remove_run(self, key: str) -> None:
        """Delete a run: its adapter, its record and what was asked for."""
        for kind in ("runs", "jobs"):
            _remove(self.inside(kind, key))

    def version_of(self, run: RunEntry) -> tuple[str, int] | None:
        """Find the data set and version that a run was trained on, by its fingerprint; None where it is not here."""
        wanted = run.record["data"]["fingerprint"]
        for entry in self.datasets():
            for version in entry.versions:
                if version.fingerprint == wanted:
                    return entry.id, version.number
        return None

    def dataset_of(self, run: RunEntry) -> Dataset | None:
        """Read the data set that a run was trained on; None where it is not here any more."""
        found = self.version_of(run)
        return None if found is None else self.load(*found)

    @property
    def votes_file(self) -> Path:
        """Where thumbs are written, for ``Dataset.from_feedback`` and ``embertune feedback``."""
        return self.folder / "feedback" / "votes.jsonl"

    def add_vote(self, vote: Mapping[str, Any]) -> None:
        """Append a thumb: {"query", "passages": [texts], "vote": 1 or 0, "time", "user"}.

        Raises:
            StorageError: The disk refused.
        """
        line = json.dumps(dict(vote), ensure_ascii=False) + "\n"
        try:
            with self._lock, self.votes_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(line)
        except OSError as error:
            raise StorageError(f"The thumb could not be kept: {error.strerror or error}. Free some space.") from None

    def settings(self) -> dict[str, Any]:
        """Give what was chosen last; nothing where nothing was, or where the file was damaged."""
        found = _json(self.folder / "settings.json")
        return found if isinstance(found, dict) else {}

    def keep_settings(self, **changes: Any) -> None:
        """Remember choices beside those that are remembered already; never a key or a password."""
        with self._lock:
            told = {**self.settings(), **changes}
            write_whole(self.folder / "settings.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")


_clock = threading.Lock()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "data"


def _version_folder(name: str, number: int) -> str:
    """Name the folder of a version; what the command line reads from there is called so in its record."""
    return f"{_slug(name)}-v{number}"


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")


def _read(folder: Path, name: str) -> Dataset:
    return load_dataset(folder, name=name)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _data_entry(path: Path) -> DataEntry | None:
    told = _json(path)
    try:
        versions = tuple(Version(**{**each, "notes": tuple(each["notes"])}) for each in told["versions"])
        return DataEntry(path.parent.name, str(told["name"]), versions) if versions else None
    except (KeyError, TypeError):
        return None


def _run_entry(path: Path) -> RunEntry | None:
    try:
        record = _record(path, path.stat().st_mtime_ns)
    except OSError:
        return None
    return RunEntry(path.parent.name, path.parent, record) if record is not None else None


@lru_cache(maxsize=1024)
def _record(path: Path, _: int) -> Record | None:
    """Read a record once, until its file changes; None where it is none."""
    try:
        return Record.read(path)
    except EmbertuneError:
        return None


def _remove(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(f"{folder} could not be deleted: {error.strerror or error}.") from None
