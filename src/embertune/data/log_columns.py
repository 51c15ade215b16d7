"""Which column of a search log or of a table of votes is which, by the names that such exports have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from embertune.data.builder import examples
from embertune.errors import DataError

__all__ = ["FEEDBACK", "LOG", "recognise_roles"]

_QUERY = ("query", "queries", "question", "search_query", "query_text", "search_term", "search_terms", "keywords", "q")
_TIME = ("time", "timestamp", "ts", "datetime", "event_time", "query_time", "created_at", "created", "date")
_SESSION = ("session", "session_id", "sessionid", "sid", "conversation_id", "chat_id", "thread_id")

LOG: dict[str, tuple[str, ...]] = {
    "query": _QUERY,
    "shown": (
        *("shown", "shown_documents", "results", "result_ids", "impressions", "displayed", "documents", "ranking"),
        *("doc_ids", "document_ids", "hits", "serp", "retrieved"),
    ),
    "clicked": (
        *("clicked", "click", "clicks", "clicked_document", "clicked_doc", "clicked_id", "clicked_doc_id"),
        *("clicked_documents", "is_clicked", "click_id", "clickurl", "click_url", "selected", "chosen", "opened"),
    ),
    "document": (
        *("document", "document_id", "doc_id", "docid", "doc", "item", "item_id", "result", "result_id", "url"),
        *("passage", "passage_id", "chunk", "chunk_id", "product_id", "corpus_id", "pid"),
    ),
    "rank": ("rank", "position", "pos", "click_rank", "clicked_rank", "click_position", "itemrank", "item_rank"),
    "time": _TIME,
    "session": _SESSION,
    "user": ("user", "user_id", "userid", "uid", "client_id", "anonid", "anon_id", "visitor_id"),
    "search": ("search_id", "request_id", "impression_id", "serp_id", "search"),
    "dwell": ("dwell", "dwell_time", "dwell_seconds", "time_on_page", "reading_time"),
}
"""Role of a column of a search log -> the names by which it is known; of several the first counts."""

FEEDBACK: dict[str, tuple[str, ...]] = {
    "query": (*_QUERY, "prompt", "user_query", "input", "message"),
    "passages": (
        *(
            "passages",
            "passage",
            "contexts",
            "context",
            "chunks",
            "chunk",
            "documents",
            "document",
            "sources",
            "source",
        ),
        *("retrieved", "retrieved_contexts", "doc_ids", "document_ids", "doc_id", "document_id", "chunk_id", "source"),
    ),
    "vote": (
        *("vote", "votes", "upvote", "thumb", "thumbs", "feedback", "rating", "reaction", "score"),
        *("helpful", "is_helpful", "label", "user_feedback", "thumbs_up", "liked"),
    ),
    "time": _TIME,
    "user": ("user", "user_id", "userid", "uid", "session", "session_id"),
}
"""Role of a column of a table of votes -> the names by which it is known."""


def recognise_roles(
    names: Sequence[str],
    given: Mapping[str, str] | None,
    known: Mapping[str, Sequence[str]],
    *,
    required: Sequence[str],
    source: str,
) -> dict[str, str]:
    """Find the role of each column.

    Args:
        names: The columns that the table has.
        given: Role -> column, for those whose name says something else.
        known: `LOG` or `FEEDBACK`.
        required: Roles without which nothing can be read.
        source: The file, for the error.

    Returns:
        Role -> column.

    Raises:
        DataError: A required role is not recognised, or a given role or column does not exist.

    Example:
        >>> recognise_roles(["Query", "doc-id", "n"], None, LOG, required=["query"], source="a.csv")
        {'query': 'Query', 'document': 'doc-id'}
    """
    chosen = {}
    for role, column in (given or {}).items():
        if role not in known:
            raise DataError(f"columns= has the role {role!r}. Expected one of {', '.join(known)}.")
        if column not in names:
            near = get_close_matches(column, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise DataError(
                f"{source} has no column {column!r}, which columns= gives for {role!r}. "
                f"It has: {examples(names, 12)}.{hint}"
            )
        chosen[role] = column
    free = {_normal(name): name for name in reversed(names) if name not in chosen.values()}
    for role, words in known.items():
        if role not in chosen and (match := next((word for word in words if word in free), None)):
            chosen[role] = free.pop(match)
    if missing := [role for role in required if role not in chosen]:
        ways = " ".join(f'--columns "{role}=<your column>"' for role in missing)
        kinds = "; ".join(f"{role}: {', '.join(known[role][:4])}, …" for role in missing)
        raise DataError(
            f"{source}: found the columns {examples(names, 12)}; none is recognised as the {' or the '.join(missing)}. "
            f"Expected names such as {kinds}. Or say which it is: {ways}"
        )
    return {role: chosen[role] for role in known if role in chosen}


def _normal(name: str) -> str:
    return re.sub(r"[\s\-.]+", "_", str(name).strip().casefold())
