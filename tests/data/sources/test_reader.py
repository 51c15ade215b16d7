"""Documents of every kind are read, and what is not says why."""

import re
import sys

import pytest

from embertune.data.chunking import chunk_documents
from embertune.data.sources.base import SourceText
from embertune.data.sources.reader import read_documents
from embertune.errors import DataError, MissingExtraError

WORDS = "Tokens expire after an hour."


def read(path):
    (text,) = read_documents(path).texts
    return text


def write_pdf(path, words="", password=None):
    """Write one page by hand, as no library that writes text into PDF files is needed for anything else."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    stream = f"BT /F1 12 Tf 72 720 Td ({words}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    content += b"xref\n0 5\n0000000000 65535 f \n%strailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(content),
    )
    path.write_bytes(content)
    if password:
        writer = pypdf.PdfWriter(clone_from=path)
        writer.encrypt(password, algorithm="RC4-128")
        writer.write(path)


def write_docx(path):
    docx = pytest.importorskip("docx", reason="python-docx is not installed")
    document = docx.Document()
    document.core_properties.title = "Handbook"
    document.add_heading("Limits", 1)
    document.add_paragraph(WORDS)
    table = document.add_table(1, 3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Uploads"
    table.cell(0, 2).text = "20 MB"
    document.add_heading("Errors", 2)
    document.add_paragraph("429 means wait.")
    document.save(path)


def test_text_keeps_its_characters_and_loses_its_carriage_returns(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffÄ\r\n漢字".encode())
    assert read(tmp_path / "a.txt") == SourceText("Ä\n漢字", source="a.txt")


def test_markdown_headings_are_those_of_commonmark(tmp_path):
    text = "---\ntitle: x\n---\n# A *good* `guide`\n\n```sh\n# no\n```\nSetext\n---\n\nEnd. [#](x)\n\n## Last ##"
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    found = read(tmp_path / "a.md")
    assert [(heading.level, heading.title) for heading in found.headings] == [
        (1, "A good guide"), (2, "Setext"), (2, "Last"),
    ]  # fmt: skip
    assert found.title == "A good guide"
    assert [found.text[heading.start : heading.end] for heading in found.headings] == [
        "# A *good* `guide`\n", "Setext\n---\n", "## Last ##",
    ]  # fmt: skip


def test_html_is_read_without_menus_and_scripts(tmp_path):
    page = f"""<!doctype html><html><head><title> The  API </title><style>p {{}}</style></head><body><nav>Menu</nav>
    <main><h1>Limits &amp; <em>errors</em></h1><p>{WORDS}<!-- no --></p><script>var x;</script>
    <ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b</td></tr></table><pre>if x:
    go()</pre>tail</main><footer>Imprint</footer></body></html>"""
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    found = read(tmp_path / "a.html")
    assert found.title == "The API"
    assert found.text.split("\n\n") == [
        "Limits & errors", WORDS, "one", "two", "a b", "if x:\n    go()", "tail",
    ]  # fmt: skip
    assert [(heading.level, heading.title) for heading in found.headings] == [(1, "Limits & errors")]


def test_html_tells_its_encoding(tmp_path):
    (tmp_path / "a.html").write_bytes("<meta charset='iso-8859-1'><p>Brücke</p>".encode("latin-1"))
    assert read(tmp_path / "a.html").text == "Brücke"


def test_pdf_is_read(tmp_path):
    write_pdf(tmp_path / "a.pdf", WORDS)
    assert read(tmp_path / "a.pdf") == SourceText(WORDS, source="a.pdf")


def test_docx_is_read_with_tables_and_headings(tmp_path):
    write_docx(tmp_path / "a.docx")
    found = read(tmp_path / "a.docx")
    assert found.title == "Handbook"
    assert found.text.split("\n\n") == ["Limits", WORDS, "Uploads | 20 MB", "Errors", "429 means wait."]
    assert [(heading.level, heading.title) for heading in found.headings] == [(1, "Limits"), (2, "Errors")]
    chunks = chunk_documents([found], by="headings")
    assert [chunk.title for chunk in chunks] == ["Handbook › Limits", "Handbook › Limits › Errors"]


def test_each_line_of_jsonl_is_a_document(tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"Title": "T", "Text": "{WORDS}", "n": 1}}\n\n{{"text": "b"}}\n', "utf-8")
    found = read_documents(tmp_path / "a.jsonl").texts
    assert found == (SourceText(WORDS, "T", "a.jsonl:1"), SourceText("b", "", "a.jsonl:3"))


def test_a_folder_is_read_in_the_order_of_its_paths_and_tells_what_it_passed_over(tmp_path):
    for name in (
        "b.txt",
        "a/z.txt",
        "a/b/c.txt",
        ".hidden.txt",
        ".git/x.txt",
        "empty.txt",
        "x.exe",
        "y.exe",
        "Makefile",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("" if name == "empty.txt" else name, encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("Brücke".encode("latin-1"))
    found = read_documents(tmp_path)
    assert [text.source for text in found.texts] == ["a/b/c.txt", "a/z.txt", "b.txt"]
    assert found.notes[:3] == (
        "2 hidden files or folders were passed over.",
        "3 files are of other kinds and were passed over (2 .exe, 1 nothing).",
        "1 file holds no text and was passed over (such as 'empty.txt').",
    )
    assert found.notes[3].startswith(f"1 file could not be read and was passed over: {tmp_path / 'latin.txt'}:1: ")


def test_an_encrypted_pdf_is_told(tmp_path):
    write_pdf(tmp_path / "a.pdf", WORDS, password="secret")
    with pytest.raises(
        DataError, match=re.escape(f"{tmp_path / 'a.pdf'} is encrypted. Save a copy without its password")
    ):
        read_documents(tmp_path / "a.pdf")


def test_a_scanned_pdf_is_told(tmp_path):
    write_pdf(tmp_path / "a.pdf")
    expected = "a.pdf has 1 page and no text: it was scanned. Recognise its text first, such as by: ocrmypdf IN OUT"
    with pytest.raises(DataError, match=re.escape(expected)):
        read_documents(tmp_path / "a.pdf")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", "a.pdf cannot be read as PDF ("),
        ("a.docx", "a.docx is no .docx file that can be read ("),
        ("a.txt", "a.txt:1: "),
        ("a.md", "a.md:1: "),
        ("a.jsonl", "a.jsonl:1: "),
        (
            "a.rtf",
            "a.rtf ends in '.rtf', which is not read. Expected a folder, or a file that ends in .txt, .text",
        ),
    ],
)
def test_a_file_that_is_not_what_it_says_is_told(tmp_path, name, expected):
    pytest.importorskip("pypdf", reason="pypdf is not installed")
    pytest.importorskip("docx", reason="python-docx is not installed")
    (tmp_path / name).write_bytes(b"\xff\xfejunk\x00\n" * 40)
    with pytest.raises(DataError, match=re.escape(expected)):
        read_documents(tmp_path / name)


def test_a_row_without_a_text_is_told(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n{"words": 1}\n', encoding="utf-8")
    expected = "a.jsonl:2: found the keys 'words'. Expected 'text' (and 'title' if it has one)."
    with pytest.raises(DataError, match=re.escape(expected)):
        read_documents(tmp_path / "a.jsonl")


def test_nothing_to_read_is_told_with_what_was_found(tmp_path):
    with pytest.raises(DataError, match=re.escape(f"There is no file or folder {tmp_path / 'no'}. Expected a folder")):
        read_documents(tmp_path / "no")
    (tmp_path / "a.exe").write_text("x", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_documents(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path} holds no document that can be read. Expected a folder, or a file")
    assert str(caught.value).endswith("\n- 1 file is of another kind and was passed over (1 .exe).")
    (tmp_path / "a.txt").write_text(" \n", encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / 'a.txt'} holds no text.")):
        read_documents(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "module"), [("a.pdf", "pypdf"), ("a.docx", "docx"), ("a.html", "bs4"), ("a.md", "markdown_it")]
)
def test_a_library_that_is_not_there_is_named_with_its_extra(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_text("x", encoding="utf-8")
    with pytest.raises(MissingExtraError, match=re.escape(f"needs `{module}`. Install it with: pip install")):
        read_documents(tmp_path)
