"""Where the sentences of a text are, in any script, by punctuation alone."""

from __future__ import annotations

import re

__all__ = ["sentence_spans"]

_CLOSING = "\"'”’»)\\]"
# Ends that need a space after them, as "3.5" and "os.path" hold dots too; and those that never stand in a word.
_BREAK = re.compile(
    rf"[.!?…]+[{_CLOSING}]*(?=\s)|[。！？｡؟۔।॥።။។]+[」』”’）]*|(?<=[^\W\d_]{{3}}\.)(?=[A-Z][a-z]*\s)"
    r"|\n[ \t]*\n|\n(?=[ \t]*(?:[-*•◦‣–#|]|\d+[.)])\s)"
)
# fmt: off
_ABBREVIATIONS = frozenset({
    "al", "approx", "art", "bzw", "ca", "cf", "co", "corp", "dr", "ed", "eds", "eg", "eq", "fig", "figs", "ie", "inc",
    "jr", "ltd", "mr", "mrs", "ms", "no", "nos", "nr", "op", "pp", "prof", "sec", "sr", "st", "vol", "vs",
})
# fmt: on
# Longer words with dots in them, such as addresses, may end a sentence; "U.S." and "e.g." do not.
_LONGEST = 6
_LAST_WORD = re.compile(r"([^\s(\"'“‘]+)\.$")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    r"""Give where each sentence begins and ends, without the white space around it.

    A sentence ends at . ! ? … before white space, unless an abbreviation, an initial or the number of an item stands
    before the dot or the next word begins small; at the full stops of scripts without spaces; at a blank line; before
    an item of a list; and at a dot between a word and a capitalised one, as PDF files lose spaces. All text but white
    space is in one sentence.

    Example:
        >>> text = "Dr. No left at 3.5 p.m. on foot. Why? 他走了。没人知道。"
        >>> [text[start:end] for start, end in sentence_spans(text)]
        ['Dr. No left at 3.5 p.m. on foot.', 'Why?', '他走了。', '没人知道。']
    """
    spans = []
    start = 0
    for match in _BREAK.finditer(text):
        if _ends(text, start, match):
            spans.append((start, match.end()))
            start = match.end()
    spans.append((start, len(text)))
    return [stripped for span in spans if (stripped := _strip(text, *span))]


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    mark = match.group()
    if mark.isspace() or mark[:1] not in {".", "!", "?", "…"}:
        return True
    after = text[match.end() : match.end() + 40].lstrip()
    if after[:1].islower():
        return False
    last = _LAST_WORD.search(text, max(start, match.end() - 4 * _LONGEST), match.end())
    if last is None:
        return True
    word = last.group(1)
    if word.isdigit():  # "1." begins an item, "in 1900." ends a sentence
        return bool(text[start : last.start()].strip())
    is_acronym = "." in word and len(word) < _LONGEST
    return not (len(word) == 1 or is_acronym or word.casefold() in _ABBREVIATIONS)


def _strip(text: str, start: int, end: int) -> tuple[int, int] | None:
    found = text[start:end]
    kept = found.strip()
    start += len(found) - len(found.lstrip())
    return (start, start + len(kept)) if kept else None
