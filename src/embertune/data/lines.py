"""Reads text files line by line, as UTF-8, with an error that names file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from embertune.data.texts import shortened
from embertune.errors import DataError

__all__ = ["read_json", "read_json_lines", "read_lines"]

_BOM = b"\xef\xbb\xbf"


def read_lines(path: Path) -> Iterator[str]:
    r"""Give the lines of a UTF-8 file, with or without a byte-order mark; they keep their "\n".

    Raises:
        DataError: The file is missing, cannot be read, or is not UTF-8.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.txt")
        ...     _ = path.write_bytes(b"\xef\xbb\xbfone\ntwo")
        ...     list(read_lines(path))
        ['one\n', 'two']
    """
    try:
        with path.open("rb") as file:
            # Only "\n" ends a line: JSON may hold U+2028 and other characters at which str.splitlines would break.
            for number, line in enumerate(file, start=1):
                if number == 1:
                    _refuse_wide_encodings(path, line)
                    line = line.removeprefix(_BOM)
                try:
                    yield line.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise DataError(_encoding_text(path, number, line[error.start])) from None
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder. Expected a file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    r"""Give the objects of a JSONL file with their line numbers; blank lines are passed over.

    Raises:
        DataError: A line is not a JSON object; also as `read_lines`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.jsonl")
        ...     _ = path.write_text('{"query": "a"}\n\n{"query": "b"}\n')
        ...     list(read_json_lines(path))
        [(1, {'query': 'a'}), (3, {'query': 'b'})]
    """
    for number, line in enumerate(read_lines(path), start=1):
        if line.isspace():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            problem = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
            raise DataError(
                f"{path}:{number}: broken JSON ({problem}): {shortened(line)} Expected one JSON object a line."
            ) from None
        if not isinstance(value, dict):
            raise DataError(
                f"{path}:{number}: found a JSON {type(value).__name__}: {shortened(line)} "
                'Expected one JSON object a line, such as {"query": "…", "document": "…"}.'
            )
        yield number, value


def read_json(path: Path) -> Any:
    """Read one JSON value that fills a file.

    Raises:
        DataError: The file is no JSON; also as `read_lines`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.json")
        ...     _ = path.write_text('[{"query": "a"}]')
        ...     read_json(path)
        [{'query': 'a'}]
    """
    text = "".join(read_lines(path))
    if not text.strip():
        raise DataError(f"{path} is empty. Expected JSON.")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        hint = ""
        if error.msg == "Extra data":
            hint = " If it holds one object a line, call it .jsonl."
        raise DataError(f"{path}:{error.lineno}: broken JSON ({error.msg} at column {error.colno}).{hint}") from None
    except RecursionError:
        raise DataError(f"{path}: broken JSON (lists or objects are nested too deep).") from None


def _refuse_wide_encodings(path: Path, line: bytes) -> None:
    # Without a mark the zero beside the first letter tells: no text file of ours starts with one.
    marks = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
    kind = marks.get(line[:2]) or (line[1:2] == b"\0" and "UTF-16LE") or (line[:1] == b"\0" and "UTF-16BE")
    if kind:
        raise DataError(
            f"{path}:1: this is UTF-16, not UTF-8 (Excel's 'Unicode text'). Save it as UTF-8, or type: "
            f"iconv -f {kind} -t UTF-8 {path.name} > utf8-{path.name}"
        )


def _encoding_text(path: Path, number: int, byte: int) -> str:
    return (
        f"{path}:{number}: byte 0x{byte:02x} is not UTF-8. Save the file as UTF-8; if it comes from Windows or Excel, "
        f"type: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}"
    )
