"""Jobs of the workbench: the command line in a process of its own. All that is known of them lies on disk.

``jobs/<id>/`` of the workspace holds

* ``job.json``: the command, what it makes, and the choices of the form it came from
* ``started.json``: when, and the number of the process
* ``progress.jsonl``: what the command tells, see `embertune.cli.console`; ``stdout.txt``, ``stderr.txt``
* ``cancelled``: an empty file, if it was
* ``alive``: absent while it waits; locked by the process for as long as that lives, whoever started it

So a browser may be closed, and the workbench ended and started again, in the middle of a job.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from embertune.core.files import write_whole
from embertune.data.io import load_dataset
from embertune.errors import DataError, StorageError
from embertune.ui.workspace import Workspace, new_id

if sys.platform != "win32":
    import fcntl

__all__ = ["SERVER", "Event", "Job", "Jobs"]

SERVER = "serve"
"""The kind of jobs that run until they are stopped."""

Plan = Callable[[str], tuple[Sequence[str], str]]

_COMMAND = (sys.executable, "-m", "embertune")
_TICK = 0.5
# What a process that was asked to end may still take.
_GRACE = 3.0
_TAIL = 4000


class Event(NamedTuple):
    """One step that a job told of."""

    time: float
    """Seconds since 1970."""
    stage: str
    done: int
    total: int | None
    note: str
    numbers: Mapping[str, float]
    """What was measured by then, such as the metric on dev."""


class Job(NamedTuple):
    """What was asked, and how it stands."""

    id: str
    kind: str
    """"tune", "synthesize" or `SERVER`."""
    name: str
    created: float
    arguments: tuple[str, ...]
    """After ``python -m embertune``."""
    result: str
    """A path in the workspace; when it is there the job is done."""
    settings: Mapping[str, Any]
    """The choices of the form, to be loaded into it again."""
    state: str
    """"queued", "running", "done", "failed" or "cancelled"."""
    started: float | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "cancelled")


class Jobs:
    """The queue of a workspace: one job at a time, oldest first.

    Args:
        workspace: Whose.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     jobs = Jobs(Workspace(folder))
        ...     job = jobs.submit("tune", "demo", lambda key: (["demo", "--out", key], key), settings={"seed": 1})
        ...     job.state, jobs.cancel(job.id).state
        ('queued', 'cancelled')
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.problem = ""
        """Why no job could be started, if that is so."""
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start(self) -> None:
        """Start jobs in the background, for as long as this process lives."""
        threading.Thread(target=self._run, name="embertune-jobs", daemon=True).start()

    def stop(self) -> None:
        """Start no further job; one under way goes on, and is found again by the next workbench."""
        self._stop.set()

    def submit(
        self, kind: str, name: str, plan: Callable[[str], tuple[Sequence[str], str]], *, settings: Mapping[str, Any]
    ) -> Job:
        """Put a job at the end of the queue.

        Args:
            kind: "tune", "synthesize" or `SERVER`.
            name: What lists call it.
            plan: Given the job's id, gives the arguments of ``python -m embertune``, which may hold paths, and the path
                in the workspace that is there when it is done.
            settings: The choices that it was made of.

        Raises:
            StorageError: The disk refused.
        """
        key = new_id(name)
        arguments, result = plan(key)
        folder = self._folder(key)
        told = {
            "kind": kind, "name": name, "created": time.time(), "arguments": list(map(str, arguments)),
            "result": str(result), "settings": dict(settings),
        }  # fmt: skip
        try:
            folder.mkdir()
        except OSError as error:
            raise StorageError(f"The job could not be kept: {error.strerror or error}. Free some space.") from None
        write_whole(folder / "job.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return self.get(key)

    def all(self) -> list[Job]:
        """List the jobs, newest first."""
        found = sorted((path.parent.name for path in self._root.glob("*/job.json")), reverse=True)
        return [job for key in found if (job := self._read(key))]

    def get(self, key: str) -> Job:
        """Give a job by its id.

        Raises:
            DataError: There is no such job.
        """
        self._folder(key)
        job = self._read(key)
        if job is None:
            raise DataError(f"There is no job {key!r} in {self.workspace.folder}.")
        return job

    def events(self, key: str) -> list[Event]:
        """Read what a job told, oldest first; a line that is half written is passed over."""
        with contextlib.suppress(OSError):
            text = (self._folder(key) / "progress.jsonl").read_text(encoding="utf-8", errors="replace")
            return [event for line in text.splitlines() if (event := _event(line))]
        return []

    def error(self, key: str) -> str:
        """Say why a job failed, in the words of the command."""
        said = self.log(key)
        _, found, message = said.rpartition("Error: ")
        if found:
            return message.strip()
        last = said.strip().rpartition("\n")[2]
        return (
            "The process ended before it was done and gave no reason: it was killed, memory ran out, or the machine "
            "was restarted. Nothing else was harmed; what was embedded is in the cache. Start it again."
            + (f" Its last words: {last}" if last else "")
        )

    def log(self, key: str) -> str:
        """Give the end of what a job's command said on stderr."""
        with contextlib.suppress(OSError), (self._folder(key) / "stderr.txt").open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL))
            return file.read().decode("utf-8", "replace")
        return ""

    def cancel(self, key: str) -> Job:
        """End a job that runs, or take one that waits out of the queue; nothing, where it is over."""
        job = self.get(key)
        if job.is_over:
            return job
        _touch(self._folder(key) / "cancelled")
        # Read again: it may have been started meanwhile.
        if self.get(key).state == "running":
            self._end(key)
        return self.get(key)

    def remove(self, key: str) -> None:
        """Forget a job that is over, with all that its folder holds.

        Raises:
            DataError: It is under way.
        """
        if not self.get(key).is_over:
            raise DataError("This job is under way. Cancel it first.")
        shutil.rmtree(self._folder(key), ignore_errors=True)

    def tick(self) -> None:
        """Start the oldest job that waits, unless one runs; servers run beside them and hold nobody up."""
        for key, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[key]
        jobs = self.all()
        for job in jobs:
            self._adopt(job)
        for server in (job for job in jobs if job.kind == SERVER and job.state == "queued"):
            self._launch(server)
        jobs = [job for job in jobs if job.kind != SERVER]
        waiting = [job for job in jobs if job.state == "queued"]
        if waiting and not any(job.state == "running" for job in jobs):
            self._launch(waiting[-1])

    @property
    def _root(self) -> Path:
        return self.workspace.folder / "jobs"

    def _folder(self, key: str) -> Path:
        return self.workspace.inside("jobs", key)

    def _run(self) -> None:
        """Tick for as long as the lock of this workspace is ours: of two workbenches on one folder one starts jobs."""
        with (self._root / ".scheduler").open("a") as file:
            while not self._stop.wait(_TICK):
                if not _try_lock(file.fileno()):
                    continue
                try:
                    self.tick()
                    self.problem = ""
                except (OSError, DataError) as error:
                    self.problem = f"No job can be started: {error}"

    def _launch(self, job: Job) -> None:
        folder = self._folder(job.id)
        with contextlib.ExitStack() as files:
            alive, out, err = (
                files.enter_context((folder / name).open("wb")) for name in ("alive", "stdout.txt", "stderr.txt")
            )
            _try_lock(alive.fileno())
            with self._lock:
                child = subprocess.Popen(
                    [*_COMMAND, *job.arguments],
                    cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **_detached(alive.fileno()),
                )  # fmt: skip
                self._children[job.id] = child
            write_whole(folder / "started.json", json.dumps({"time": time.time(), "pid": child.pid}) + "\n")

    def _adopt(self, job: Job) -> None:
        """Make a data set of what a job that writes queries has made; tried once."""
        tried = self._folder(job.id) / "adopted"
        if job.kind != "synthesize" or job.state != "done" or tried.exists():
            return
        _touch(tried)
        made = (self.workspace.folder / job.result).parent
        self.workspace.add(load_dataset(made, name=job.name), job.name, note="queries were written", key=job.id)

    def _end(self, key: str) -> None:
        pid = int((_json(self._folder(key) / "started.json") or {}).get("pid", 0))
        until = time.monotonic() + _GRACE
        for how in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
            with contextlib.suppress(OSError):
                # Only while the lock is held is the number that of our process, and of the group that it leads.
                if pid > 1 and self._is_alive(key):
                    os.kill(pid, how) if sys.platform == "win32" else os.killpg(pid, how)
            while self._is_alive(key) and time.monotonic() < until:
                time.sleep(0.02)
            until += _GRACE

    def _is_alive(self, key: str) -> bool:
        child = self._children.get(key)
        if child is not None:
            return child.poll() is None
        with contextlib.suppress(OSError), (self._folder(key) / "alive").open("r+b") as file:
            return not _try_lock(file.fileno())
        return False

    def _read(self, key: str) -> Job | None:
        folder = self._root / key
        told = _json(folder / "job.json")
        if told is None:
            return None
        started = (_json(folder / "started.json") or {}).get("time")
        return Job(
            key, told["kind"], told["name"], told["created"], tuple(told["arguments"]), told["result"],
            told["settings"], self._state(key, str(told["result"])), started,
        )  # fmt: skip

    def _state(self, key: str, result: str) -> str:
        folder = self._root / key
        is_cancelled = (folder / "cancelled").exists()
        if not (folder / "alive").exists():
            return "cancelled" if is_cancelled else "queued"
        if self._is_alive(key):
            return "running"
        # Looked at last: the result is put in place before the process ends.
        if (self.workspace.folder / result).exists():
            return "done"
        return "cancelled" if is_cancelled else "failed"


def _event(line: str) -> Event | None:
    try:
        told = json.loads(line)
        return Event(
            told["time"], told["stage"], told["done"], told.get("total"), told.get("note", ""), told.get("numbers", {})
        )
    except (ValueError, KeyError, TypeError):
        return None


def _detached(alive: int) -> dict[str, Any]:
    """Let a process outlive this one, and hold the lock on a file for as long as it lives."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True, "pass_fds": (alive,)}


def _try_lock(handle: int) -> bool:
    """Lock a file if no other process has; without such locks, on Windows, a job is known to who started it alone."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _touch(path: Path) -> None:
    try:
        path.touch()
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}. Free some space.") from None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
