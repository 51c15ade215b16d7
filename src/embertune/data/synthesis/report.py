"""What a run of a language model did: counted while it goes on, told in sentences afterwards."""

from __future__ import annotations

import time
from collections import Counter

from embertune.data.synthesis.budget import Budget, Spent
from embertune.data.synthesis.tasks import Task
from embertune.data.texts import counted

__all__ = ["Report"]


class Report:
    """Counts of one run.

    Args:
        model: Who writes.

    Example:
        >>> Report("openai/gpt-4o-mini").sentences(Spent(), Budget())
        ('openai/gpt-4o-mini wrote 0 queries for 0 chunks (0 requests, 0 + 0 tokens, $0.0000).',)
    """

    def __init__(self, model: str) -> None:
        self.model = model
        self.stopped = False
        """Whether the budget was reached."""
        self.chunks = self.queries = self.short = self.replayed = self.unpaid = 0
        self.dropped: Counter[str] = Counter()
        self._started = time.monotonic()

    def count(self, task: Task) -> None:
        """Count a chunk that is done with."""
        self.chunks += 1
        self.queries += len(task.taken)
        self.dropped += task.dropped
        self.replayed += task.replayed
        if len(task.taken) < task.job.per_chunk:
            self.unpaid += not task.done
            self.short += task.done

    def pace(self, spent: Spent, total: int | None) -> str:
        """Say how fast it goes, what it took, and how long it will take."""
        asked = self.chunks - self.replayed
        rate = asked / max(time.monotonic() - self._started, 1e-3)
        parts = [f"{rate:.1f} chunks/s"] if asked else []
        parts.append("price unknown" if spent.usd is None else f"${spent.usd:,.4f}")
        if total is not None and asked and self.chunks < total:
            parts.append(f"{_duration((total - self.chunks) / rate)} left")
        return ", ".join(parts)

    def sentences(self, spent: Spent, budget: Budget) -> tuple[str, ...]:
        """Tell what was written, what it took, and what is missing."""
        told = [
            f"{self.model} wrote {counted(self.queries, 'query', 'queries')} for {counted(self.chunks, 'chunk')} "
            f"({spent}{f'; {self.replayed} from the journal' if self.replayed else ''})."
        ]
        if self.dropped:
            reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.dropped.items()))
            told.append(f"{counted(self.dropped.total(), 'query was', 'queries were')} dropped: {reasons}.")
        if self.short:
            told.append(f"{counted(self.short, 'chunk has', 'chunks have')} fewer queries than were asked for.")
        if self.stopped:
            told.append(
                f"The budget of {budget} was reached: {self.unpaid} of {self.chunks} chunks were not asked about, or "
                "not to the end. Run again to go on."
            )
        return tuple(told)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
