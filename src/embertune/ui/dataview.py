"""What the tab Data shows of a version: rows of tables, facts and warnings, and the split; each is made once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from embertune.data.inspect import Inspection
from embertune.data.leakage import find_leakage
from embertune.data.splits import SplitMethod
from embertune.errors import EmbertuneError
from embertune.recipes.inspect_data import inspect
from embertune.recipes.plan import Plan, make_plan
from embertune.reports.markup import Markup, element
from embertune.ui.paged import Rows
from embertune.ui.workspace import Workspace

__all__ = ["METHODS", "DataView", "SplitView"]

METHODS: dict[str, SplitMethod | None] = {
    "as tune does by default": None,
    "by query": "by-query",
    "by document": "by-document",
    "given": "given",
}
_NOTHING = Rows([])


class SplitView(NamedTuple):
    """What a split gives: sentences, and (part, query id, query, answers) of every query."""

    said: tuple[str, ...]
    rows: Rows


class DataView:
    """Reads versions of data sets for the page.

    Args:
        workspace: Where they lie.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.documents = lru_cache(maxsize=2)(self._documents)
        self.queries = lru_cache(maxsize=2)(self._queries)
        self.pairs = lru_cache(maxsize=2)(self._pairs)
        self.facts = lru_cache(maxsize=8)(self._facts)
        self.split = lru_cache(maxsize=4)(self._split)

    def _documents(self, key: str, version: int) -> Rows:
        if not key:
            return _NOTHING
        corpus = self._workspace.load(key, version).corpus
        return Rows([(name, document.title, document.text) for name, document in corpus.items()])

    def _queries(self, key: str, version: int) -> Rows:
        if not key:
            return _NOTHING
        data = self._workspace.load(key, version)
        written = {name: f"{origin.generator} ({origin.style})" for name, origin in data.synthetic.items()}
        return Rows(
            [
                (name, text, data.parts.get(name, ""), written.get(name, "a person"), len(data.qrels.get(name, ())))
                for name, text in data.queries.items()
            ]
        )

    def _pairs(self, key: str, version: int) -> Rows:
        """Give (query, document, grade, query id, document id) of every judgement."""
        if not key:
            return _NOTHING
        data = self._workspace.load(key, version)
        return Rows(
            [
                (data.queries[query], data.corpus[document].content, f"{grade:g}", query, document)
                for query, grades in data.qrels.items()
                for document, grade in grades.items()
            ]
        )

    def _facts(self, key: str, version: int) -> str:
        if not key:
            return ""
        return facts_page(inspect(self._workspace.load(key, version)))

    def _split(self, key: str, version: int, method: str, seed: int) -> SplitView:
        if not key:
            return SplitView((), _NOTHING)
        data = self._workspace.load(key, version)
        try:
            plan = make_plan(data, METHODS[method], seed=seed)
        except EmbertuneError as error:
            return SplitView((str(error),), _NOTHING)
        leaks = [find_leakage(trial.pool, trial.test) for trial in plan.trials]
        copies = sum(each.exact for each in leaks)
        tested = sum(len(trial.test.queries) for trial in plan.trials)
        said = (
            f"Split {plan.method}, {plan.kind}, seed {plan.seed}.",
            f"{plan.seen_share:.0%} of the test queries have an answer that training queries have, too.",
            f"Of {tested} test queries {copies} {'has' if copies == 1 else 'have'} the same text as a training query"
            + (": what they score is no evidence." if copies else ", so the test is not given away."),
            *plan.notes,
        )
        answers = {query: ", ".join(data.positives(query)) for query in data.judged}
        return SplitView(said, Rows([(part, name, data.queries[name], answers[name]) for part, name in _parts(plan)]))


def facts_page(facts: Inspection) -> Markup:
    """Say what is in a data set in numbers, and what is wrong with it in sentences.

    Example:
        >>> from embertune.data.dataset import Dataset
        >>> facts_page(inspect(Dataset.from_pairs([("how old", "<b>1900</b>")])))[:44]
        '<div class="facts"><dl class="numbers"><div>'
    """
    share = facts.documents_with_queries / max(1, facts.documents)
    numbers = [
        ("Documents", f"{facts.documents:,}", f"{share:.0%} of them answer a query"),
        ("Queries", f"{facts.queries:,}", f"{facts.judged_queries:,} with an answer"),
        ("Judgements", f"{facts.positives + facts.negatives:,}", f"{facts.positives:,} relevant"),
        ("Answers per query", f"{facts.positives_per_query.mean:.3g}", f"at most {facts.positives_per_query.high}"),
    ]
    cards = [
        element("div", element("dt", name), element("dd", value), element("dd", more, class_="more"))
        for name, value, more in numbers
    ]
    return element(
        "div",
        element("dl", *cards, class_="numbers"),
        _listed("What to look at", facts.warnings, "warnings") or element("p", "Nothing looks wrong.", class_="fine"),
        _listed("How it was read", facts.notes, "notes"),
        class_="facts",
    )


def _listed(title: str, sentences: Sequence[str], kind: str) -> Markup:
    if not sentences:
        return Markup("")
    items = element("ul", *(element("li", sentence) for sentence in sentences))
    return element("section", element("h2", title), items, class_=kind)


def _parts(plan: Plan) -> list[tuple[str, str]]:
    """Give (part, query) of all; in folds every query is tested once, and "test 2" is the second fold."""
    if len(plan.trials) > 1:
        return [(f"test, fold {at}", query) for at, trial in enumerate(plan.trials, 1) for query in trial.test.queries]
    (trial,) = plan.trials
    pool = [("dev" if query in trial.dev else "train", query) for query in trial.pool.queries]
    return sorted([*pool, *(("test", query) for query in trial.test.queries)], key=lambda row: row[0], reverse=True)
