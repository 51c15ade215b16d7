"""PDF: the text of its pages."""

from __future__ import annotations

from pathlib import Path

from embertune._optional import require
from embertune.data.sources.base import SourceText
from embertune.errors import DataError

__all__ = ["read_pdf"]


def read_pdf(path: Path, source: str) -> list[SourceText]:
    """Read the text of a PDF file, a blank line between pages; tables and columns come as the file has them.

    Raises:
        DataError: It is encrypted, damaged, or holds pictures of pages and no text.
        MissingExtraError: pypdf is not installed.
    """
    pypdf = require("pypdf", extra="documents", purpose="Reading PDF files")
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError(
                f"{path} is encrypted. Save a copy without its password, such as by: qpdf --decrypt --password=… IN OUT"
            )
        pages = [page.extract_text().strip() for page in reader.pages]
    except DataError:
        raise
    except ImportError as error:  # AES needs cryptography, which pypdf does not bring
        raise DataError(
            f"{path} is encrypted in a way that needs more ({error}). Type: pip install cryptography"
        ) from None
    # pypdf meets damage with errors of every kind: its own, but also KeyError, AttributeError, RecursionError.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} cannot be read as PDF ({reason}). Save or print it as PDF again.") from None
    text = "\n\n".join(filter(None, pages))
    if not text:
        raise DataError(
            f"{path} has {len(pages)} {'page' if len(pages) == 1 else 'pages'} and no text: it was scanned. Recognise "
            "its text first, such as by: ocrmypdf IN OUT"
        )
    return [SourceText(text, source=source)]
