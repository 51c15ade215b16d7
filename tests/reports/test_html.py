"""The page holds everything in order, asks for nothing from the network, and runs nobody's text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from embertune.errors import StorageError
from embertune.reports.html import Texts, html_report, write_html

VOID = {"meta", "link", "br", "img", "hr", "input"}
LOADING = {"src", "srcset", "href", "data", "action", "poster", "background", "xlink:href", "style"}


class Page(HTMLParser):
    """Elements, attributes and visible text of a page; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.parts.append((self.open[-1] if self.open else "", data))

    def text(self) -> str:
        hidden = ("script", "style")
        return " ".join(" ".join(data for tag, data in self.parts if tag not in hidden).split())

    def contents(self, tag: str) -> list[str]:
        return [data for inside, data in self.parts if inside == tag]


@pytest.fixture
def texts(record, make_texts):
    queries, examples = make_texts(record)
    return Texts(queries, examples)


def test_everything_is_there_in_the_order_of_reading(record, texts):
    page = Page(html_report(record, texts=texts))
    assert page.contents("h1") == ["Ship it"]
    assert page.contents("h2") == [
        "Base, baselines and tuned", "Seen and unseen documents", "Queries that it is not for",
        "How sure the changes are", "Quality along the strength", "Along training",
        "Cosines of relevant and irrelevant pairs", "Every test query", "Wins and losses", "What was tried",
        "Data and leakage", "To reproduce",
    ]  # fmt: skip
    text = page.text()
    for said in (
        "12 equal documents were merged.",
        "Other queries, 238 of xquad-en over the corpora of both: ndcg@10 0.948 → 0.944, −0.004 [−0.009, +0.001].",
        "2 of its 240 queries are asked in finance10k-lyft, too, and left out.",
        record["data"]["fingerprint"],
        "test split opened once",
        "100%",
    ):
        assert said in text
    assert f"{record['base']['ndcg@10']:.3f} → {record['tuned']['ndcg@10']:.3f}" in text


def test_it_is_small_enough_and_loads_nothing(record, texts):
    made = html_report(record, texts=texts)
    assert len(made.encode()) < 6_000_000
    page = Page(made)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "source"}
    addresses = [value for _, given in page.elements for name, value in given.items() if name in LOADING]
    assert all(value.startswith("#") for value in addresses)
    style = "".join(page.contents("style"))
    assert "url(" not in style
    assert "@import" not in style
    # What scripts might ask for is refused by the page itself.
    policy = next(given["content"] for tag, given in page.elements if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:")


PAYLOADS = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    '=HYPERLINK("https://evil.example","x")',
    "${style} $plotly {{7*7}} $x$",
    "<!-- ]]> \u2028 &amp;",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_are_shown_and_never_run(record, payload):
    record["name"] = record["data"]["name"] = payload
    record["verdict"]["sentence"] = record["verdict"]["reason"] = payload
    record["encoder"]["model"] = payload
    record["data"]["notes"] = record["foreign"]["notes"] = [payload]
    record["foreign"]["name"] = payload
    record["data"]["leakage"] = {payload: [[payload, payload]]}
    record["versions"][payload] = payload
    record["selection"]["candidates"][1]["params"] = {payload: payload}
    record["queries"][0]["id"] = payload
    record["baselines"] = {payload: record["baselines"]["bm25"]}
    example = {
        "query_id": payload,
        "base": [(payload, 0.5, True, payload)],
        "tuned": [(payload, 0.5, False, payload * 60)],
    }
    page = Page(html_report(record, texts=Texts({payload: payload}, [example])))
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert not {"img", "alert"} & {tag for tag, _ in page.elements}
    assert not [name for _, given in page.elements for name in given if name.startswith("on")]
    assert " ".join(payload.split()) in page.text()
    figures = next(data for tag, data in page.parts if tag == "script")
    assert "<" not in figures
    assert json.loads(figures)["figures"]["queries"]["data"]


def test_every_figure_has_its_place_and_its_words(record):
    made = html_report(record)
    page = Page(made)
    places = {given["id"]: given for _, given in page.elements if given.get("class") == "plot"}
    figures = json.loads(next(data for tag, data in page.parts if tag == "script"))["figures"]
    assert set(places) == {f"plot-{name}" for name in figures}
    assert all(given["role"] == "img" and given["aria-label"] for given in places.values())


def test_tables_and_headings_are_accessible(record, texts):
    page = Page(html_report(record, texts=texts))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(given.get("scope") in ("col", "row") for tag, given in page.elements if tag == "th")
    ids = [given["id"] for _, given in page.elements if "id" in given]
    assert len(ids) == len(set(ids))
    links = [given["href"][1:] for tag, given in page.elements if tag == "a"]
    assert set(links) <= set(ids)


def test_wins_and_losses_stand_side_by_side_with_their_movement(record):
    row = max(record["queries"], key=lambda one: one["tuned"] - one["base"])
    base = [("d1", 0.9, False, "wrong"), ("d2", 0.8, True, "right")]
    tuned = [("d2", 0.95, True, "right"), ("d9", 0.9, False, "other"), ("d1", 0.2, False, "wrong")]
    example = {"query_id": row["id"], "base": base, "tuned": tuned}
    text = Page(html_report(record, texts=Texts({row["id"]: "who?"}, [example]))).text()
    assert "Gained most who? " in text
    assert "1. relevant d2 cosine 0.950 ↑ from 2 right" in text
    assert "2. d9 cosine 0.900 ↑ new here other" in text
    assert "3. d1 cosine 0.200 ↓ from 1 wrong" in text


def test_without_texts_the_ids_of_the_most_gained_and_lost_are_listed(record):
    text = Page(html_report(record)).text()
    worst = min(record["queries"], key=lambda one: one["tuned"] - one["base"])
    assert f"Lost most query documents ndcg@10, base tuned change {worst['id']} {worst['group']}" in text


def test_degenerate_records_give_a_sensible_page(degenerate, make_record):
    page = Page(html_report(degenerate))
    assert page.contents("h1") == ["Do not ship this yet."]
    assert "No metric changes." in page.text()
    assert "Nothing is known about unseen documents: no test query asks for one." in page.text()
    assert not re.search(r"\b(nan|None)\b", page.text())
    unchanged = Page(html_report(make_record("no-gain"))).text()
    assert "No test query gained." in unchanged
    assert "Of 200 test queries, 0 gain, 200 stay as they are, 0 lose." in unchanged
    assert "Of the one test query, 0 gain" in Page(html_report(make_record("no-gain", queries=1, unseen=0))).text()


def test_a_rejected_candidate_is_not_passed_off_as_the_adapter(record):
    record["candidate"], record["adapter"] = record["adapter"], {"type": "identity", "side": "none"}
    assert "is the candidate that was measured and not kept" in Page(html_report(record)).text()


def test_a_test_split_opened_twice_is_a_warning(record):
    record["test_opened"] = 2
    assert "2 times; numbers of a test split that was opened before are too good" in Page(html_report(record)).text()


def test_leakage_not_looked_for_is_said(record):
    record["data"]["leakage"] = {"exact": 0, "near": None}
    text = Page(html_report(record)).text()
    assert "test queries equal to a training query 0" in text
    assert "further test queries nearly equal to one not looked for" in text


def test_long_passages_are_folded_and_many_examples_too(record, make_texts):
    queries, examples = make_texts(record, most=10)
    examples[0]["base"][0] = ("d", 0.5, False, "word " * 5000)
    made = html_report(record, texts=Texts(queries, examples))
    page = Page(made)
    assert "7 more that gained" in page.text()
    assert "7 more that lost" in page.text()
    assert "word " * 400 not in page.text()


def test_a_refused_write_leaves_the_old_page(record, tmp_path):
    path = write_html(record, tmp_path / "report.html")
    before = path.read_bytes()
    assert before.startswith(b"<!doctype html>")
    with pytest.raises(StorageError, match=r"^There is no folder .*absent to write report\.html to"):
        write_html(record, tmp_path / "absent" / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
