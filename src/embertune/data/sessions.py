"""What happened around a click: sessions, questions asked again in other words, clicks that did not satisfy, robots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from embertune.data.log_rows import Search
from embertune.data.texts import normalize_text
from embertune.data.words import words_of

__all__ = ["group_sessions", "reformulations", "satisfied", "without_duplicates", "without_robots"]


def group_sessions(searches: Sequence[Search], gap: float) -> list[list[Search]]:
    """Bring the searches of each session together, in the order of time.

    Args:
        searches: In any order. Those without session or user are each alone.
        gap: Seconds without a search after which a user's next one begins a new session.

    Example:
        >>> from embertune.data.log_rows import Search
        >>> times = (0, 60, 9000)
        >>> log = [Search(at, "q", {}, (), time=time, session="u7", is_user=True) for at, time in enumerate(times)]
        >>> [len(session) for session in group_sessions(log, gap=1800)]
        [2, 1]
    """
    alone: list[list[Search]] = []
    named: dict[tuple[bool, str], list[Search]] = {}
    for search in searches:
        if search.session:
            named.setdefault((search.is_user, search.session), []).append(search)
        else:
            alone.append([search])
    for ordered in named.values():
        # Without a time the order of the log stands.
        ordered.sort(key=lambda search: search.time or 0.0)
    return [*(part for (is_user, _), one in named.items() for part in (_cut(one, gap) if is_user else [one])), *alone]


def _cut(ordered: Sequence[Search], gap: float) -> Iterator[list[Search]]:
    part = [ordered[0]]
    for before, search in pairwise(ordered):
        if search.time is not None and before.time is not None and search.time - before.time > gap:
            yield part
            part = []
        part.append(search)
    yield part


def without_duplicates(searches: Sequence[Search]) -> tuple[list[Search], int]:
    """Drop searches that are written down twice: same session, time, words, results and clicks.

    Rows without a time are all kept: nothing tells whether they are one search or two.

    Returns:
        The searches that are kept, and how many were dropped.

    Example:
        >>> from embertune.data.log_rows import Search
        >>> one = Search(1, "q", {"d1": 1}, (), time=5.0)
        >>> without_duplicates([one, one])[1]
        1
    """
    kept: dict[tuple[object, ...], Search] = {}
    for at, search in enumerate(searches):
        content = (search.session, search.query, tuple(search.shown.items()), search.clicks)
        kept.setdefault((*content, at if search.time is None else None, search.time), search)
    return list(kept.values()), len(searches) - len(kept)


def without_robots(sessions: Sequence[list[Search]], most: int) -> tuple[list[list[Search]], int, int]:
    """Drop sessions with more searches than a person makes.

    Args:
        sessions: From `group_sessions`.
        most: Searches of one session.

    Returns:
        The sessions that are kept, and how many sessions and searches were dropped.

    Example:
        >>> from embertune.data.log_rows import Search
        >>> without_robots([[Search(1, "q", {}, ())] * 500, [Search(2, "q", {}, ())]], most=100)[1:]
        (1, 500)
    """
    kept = [session for session in sessions if len(session) <= most]
    return kept, len(sessions) - len(kept), sum(map(len, sessions)) - sum(map(len, kept))


def satisfied(search: Search, *, min_dwell: float, last_only: bool) -> Search:
    """Keep the clicks that satisfied: each document once, read long enough, and the last one alone if so told.

    Who reads 30 seconds or ends there is taken to be satisfied (Fox et al. 2005, "Evaluating Implicit Measures").

    Args:
        search: One search.
        min_dwell: Seconds; clicks whose dwell time the log does not tell are kept.
        last_only: Keep only the last of those.

    Example:
        >>> from embertune.data.log_rows import Click, Search
        >>> search = Search(1, "q", {"a": 1, "b": 2}, (Click("a", 3.0), Click("b", 90.0), Click("b", 5.0)))
        >>> [click.document for click in satisfied(search, min_dwell=30, last_only=False).clicks]
        ['b']
    """
    long = [click for click in search.clicks if click.dwell is None or click.dwell >= min_dwell]
    distinct = {click.document: click for click in long}
    kept = tuple(distinct.values())
    return replace(search, clicks=kept[-1:] if last_only else kept)


def reformulations(session: Sequence[Search], within: float) -> Iterator[tuple[Search, Search]]:
    """Find the searches that found nothing and were asked again in other words, with what was clicked then.

    A later search asks again if it comes soon enough, shares a word with the first, and is the first of the session
    that has a click: the query chains of Radlinski and Joachims (2005), whose classifier rests on the same signs.

    Args:
        session: Searches in the order of time.
        within: The most seconds between the two.

    Returns:
        Pairs of a search without a click and of the later one that has one.

    Example:
        >>> from embertune.data.log_rows import Click, Search
        >>> first = Search(1, "car tyre leak", {"a": 1}, (), time=0.0)
        >>> then = Search(2, "repair tyre", {"b": 1}, (Click("b"),), time=20.0)
        >>> [(one.query, other.query) for one, other in reformulations([first, then], within=300)]
        [('car tyre leak', 'repair tyre')]
    """
    common = _common_words(session)
    waiting: list[Search] = []
    for search in session:
        waiting = [one for one in waiting if _soon(one, search, within)]
        if search.clicks:
            words = _words(search.query) - common
            for one in waiting:
                other = normalize_text(one.query) != normalize_text(search.query)
                if other and not words.isdisjoint(_words(one.query)):
                    yield one, search
            waiting = []
        else:
            waiting.append(search)


def _common_words(session: Sequence[Search]) -> set[str]:
    """Words in most searches of a long session say nothing about which of them belong together."""
    if len(session) < 5:
        return set()
    counts: Mapping[str, int] = Counter(word for search in session for word in _words(search.query))
    return {word for word, count in counts.items() if count > len(session) / 2}


def _words(text: str) -> set[str]:
    text = normalize_text(text)
    # One and two letters are mostly of, to, in; in scripts without spaces a character is a word.
    return {word for word in words_of(text) if len(word) > 2 or not word.isascii()}


def _soon(before: Search, search: Search, within: float) -> bool:
    return before.time is None or search.time is None or search.time - before.time <= within
