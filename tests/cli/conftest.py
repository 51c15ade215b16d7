"""The command line, run in this process or in one of its own, and small data to run it on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embertune.adapters.linear import LinearAdapter
from embertune.cli import main

DIMENSION = 12


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def paragraph(self) -> str:
        """The message: everything from the one "Error: " on."""
        assert self.err.count("Error: ") == 1, self.err
        return self.err[self.err.index("Error: ") :]


def files_below(folder: Path) -> dict[str, Any]:
    """Everything that lies in a folder: bytes of files, None for folders; the cache may grow and is left out."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "embertune-cache" not in path.parts
    }


@pytest.fixture
def run(capfd, monkeypatch) -> Callable[..., Outcome]:
    """Run the command line in this process, as the installed script does."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["embertune", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def spawn() -> Callable[..., Outcome]:
    """Run the command line in a process of its own."""

    def call(*arguments: object, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "embertune", *map(str, arguments)],
            capture_output=True, encoding="utf-8", env={**os.environ, **environment}, timeout=120, check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def fails(run, tmp_path) -> Callable[..., str]:
    """Run a command that must fail: one clear paragraph, nothing on stdout, not one file changed, added or lost."""

    def call(*arguments: object, says: list[str], code: int = 1, by: Callable[..., Outcome] = run) -> str:
        before = files_below(tmp_path)
        outcome = by(*arguments)
        assert "Traceback" not in outcome.err, outcome.err
        assert outcome.code == code, outcome
        assert outcome.out == ""
        paragraph = outcome.paragraph
        for fragment in says:
            assert fragment in paragraph, paragraph
        assert "\n\n" not in paragraph.strip()
        assert len(paragraph) < 1200, paragraph
        assert not re.search(r"\b[A-Z]\w+(Error|Exception)\b:", paragraph.removeprefix("Error: ")), paragraph
        assert files_below(tmp_path) == before
        return paragraph

    return call


@dataclass(frozen=True)
class Small:
    """A learnable data set on disk: a BEIR folder, its vectors, and an earlier artefact to be kept."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def vectors(self) -> Path:
        return self.folder / "vectors.npz"

    @property
    def encoder(self) -> str:
        return f"precomputed:{self.vectors}"

    @property
    def out(self) -> Path:
        return self.folder / "earlier"

    def files(self) -> dict[str, Any]:
        return files_below(self.folder)

    def arrays(self) -> dict[str, Any]:
        with np.load(self.vectors) as archive:
            return {name: archive[name] for name in archive.files}

    def rewrite_vectors(self, **arrays: Any) -> None:
        np.savez(self.vectors, **{**self.arrays(), **arrays})

    def tune(self, *more: object, data: object = None, encoder: str | None = None) -> list[object]:
        """The arguments of a tune that is quick where it succeeds."""
        return [
            *("tune", self.data if data is None else data, "--encoder", encoder or self.encoder),
            *("--out", self.out, "--effort", "fast", *more),
        ]  # fmt: skip


def write_beir(folder: Path, queries: int, *, parts: bool = False) -> None:
    """Write a data set in which query n asks for document n."""
    (folder / "qrels").mkdir(parents=True)
    rows = range(queries)
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{n}", "title": "", "text": f"answer number {n}"}) + "\n" for n in rows)
    )
    (folder / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"q{n}", "text": f"question {n} about thing {n * 7}"}) + "\n" for n in rows)
    )
    cut = {"train": rows[: queries * 3 // 5], "test": rows[queries * 3 // 5 :]} if parts else {"test": rows}
    for part, members in cut.items():
        lines = "".join(f"q{n}\td{n}\t1\n" for n in members)
        (folder / "qrels" / f"{part}.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)


def write_vectors(path: Path, queries: int, *, dimension: int = DIMENSION, seed: int = 0) -> None:
    """Write vectors in which a query is its document in another basis: an adapter can learn it."""
    rng = np.random.default_rng(seed)
    documents = rng.normal(size=(queries, dimension))
    turned = documents @ np.linalg.qr(rng.normal(size=(dimension, dimension)))[0]
    asked = 0.5 * documents + turned + 0.3 * rng.normal(size=documents.shape)
    np.savez(
        path, corpus=documents.astype(np.float32), queries=asked.astype(np.float32),
        corpus_ids=[f"d{n}" for n in range(queries)], query_ids=[f"q{n}" for n in range(queries)],
    )  # fmt: skip


def spec_of(path: Path, **changes: Any) -> dict[str, Any]:
    """The encoder that precomputed vectors are, as an artefact names it."""
    return {
        "provider": "precomputed", "model": path.name, "revision": None, "dimension": DIMENSION,
        "query_prompt": "", "document_prompt": "", "normalized": True, **changes,
    }  # fmt: skip


@pytest.fixture
def small(tmp_path) -> Small:
    """120 queries with vectors of 12 dimensions, and an adapter that was saved for them before."""
    made = Small(tmp_path)
    write_beir(made.data, 120)
    write_vectors(made.vectors, 120)
    arrays = made.arrays()
    adapter = LinearAdapter(max_steps=2).fit(arrays["queries"], arrays["corpus"])
    adapter.encoder = spec_of(made.vectors)
    adapter.save(made.out)
    return made


@pytest.fixture
def disk(tmp_path) -> Iterator[Callable[..., Path]]:
    """Make a disk of a few kilobytes, or a read-only one; for root on Linux alone."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"

    def mount(options: str) -> Path:
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine does not let root mount: {done.stderr.decode().strip()}")
        return place

    yield mount
    subprocess.run(["umount", place], capture_output=True, check=False)
