import json
import re

import pytest

from embertune.data.io import load_dataset
from embertune.data.sources.base import SourceText
from embertune.errors import DataError
from embertune.recipes.synthesize import synthesize
from embertune.recipes.tune import tune

PAGE = "# Limits\n\nUploads may have twenty megabytes at most.\n\n## Tokens\n\nTokens expire after an hour.\n"


@pytest.fixture
def docs(tmp_path):
    pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")
    folder = tmp_path / "docs"
    (folder / "more").mkdir(parents=True)
    (folder / "api.md").write_text(PAGE, encoding="utf-8")
    (folder / "more" / "bill.txt").write_text("Rows are billed per month and region. " * 3, encoding="utf-8")
    (folder / "logo.png").write_bytes(b"x")
    return folder


def test_a_folder_becomes_a_data_set_that_knows_where_all_of_it_comes_from(docs, tmp_path):
    made = synthesize(docs, chunk_by="headings", per_chunk=2)
    folder = made.save(tmp_path / "out")
    assert load_dataset(folder) == made.dataset
    assert list(made.dataset.corpus) == ["api.md#0", "api.md#1", "more/bill.txt#0"]
    rows = [json.loads(line) for line in (folder / "chunks.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["_id"] for row in rows] == list(made.dataset.corpus)
    text = (docs / "api.md").read_text(encoding="utf-8")
    assert text[rows[1]["start"] :].startswith(made.dataset.corpus["api.md#1"].text)
    told = json.loads((folder / "synthesis.json").read_text(encoding="utf-8"))
    assert told["generators"] == {"extractive": len(made.dataset.queries)}
    assert told["settings"] == {"per_chunk": 2, "chunk_by": "headings", "chunk_size": 200, "overlap": 0}
    assert told["fingerprint"] == made.dataset.fingerprint
    assert (told["documents"], told["chunks"], told["name"]) == (2, 3, "docs")
    assert told["notes"][0] == "1 file is of another kind and was passed over (1 .png)."


def test_no_text_of_the_documents_is_in_what_is_told(docs):
    assert "megabytes" not in json.dumps(synthesize(docs).to_dict())


def test_what_it_made_can_be_tuned_on():
    texts = [
        SourceText(f"The thing{n} of kind{n} is blue and heavy. It costs price{n}.", source=f"{n}.txt")
        for n in range(40)
    ]
    made = synthesize(texts)
    result = tune(made.dataset, "hashing", effort="fast")
    assert result.verdict.reason.startswith("Measured on synthetic queries")


def test_documents_without_text_are_told():
    with pytest.raises(DataError, match=re.escape("The documents hold no text. Expected at least one passage.")):
        synthesize([" "])
