"""Canaries under a running server: at start, with every new version of an adapter, and once a day."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from embertune.adapters.canaries import Drift
from embertune.core.vectors import Vectors
from embertune.encoders.base import Side
from embertune.errors import ArtifactError, EncoderError
from embertune.serving.catalogue import Catalogue, Served
from embertune.serving.config import CanaryPolicy
from embertune.serving.metrics import Metrics
from embertune.serving.problems import ApiError

__all__ = ["CanaryWatch"]

_log = logging.getLogger("embertune.serving")

_DAY = 86_400.0
# Where the upstream could not be asked, which is no sign that it has changed.
_SOON = 60.0
# Another try does not help: the key, the model's name or the request is wrong.
_FOR_GOOD = frozenset({400, 401, 403, 404, 422})

Embed = Callable[[Sequence[str], Side], Awaitable[Vectors]]


class CanaryWatch:
    """Asks the upstream for the canaries of adapters, and keeps what it found with them.

    Args:
        embed: Gives base vectors as the upstream computes them now.
        catalogue: Whose adapters are watched.
        metrics: Told of the cosines.
        policy: "refuse" keeps an adapter from answering where its encoder has changed; "warn" only logs.
        name: Of the upstream, for messages.
    """

    def __init__(
        self, embed: Embed, catalogue: Catalogue, metrics: Metrics, *, policy: CanaryPolicy, name: str
    ) -> None:
        self._embed, self._catalogue, self._metrics = embed, catalogue, metrics
        self._policy, self._name = policy, name
        self.unknown: set[str] = set()

    async def start(self) -> None:
        """Look at all adapters before the first request.

        Raises:
            EncoderError: The upstream refuses to embed at all.
        """
        for served in list(self._catalogue.served.values()):
            self._catalogue.served[served.name] = await self.look(served)

    async def run(self) -> None:
        """Look once a day, and sooner where the upstream could not be asked; until cancelled."""
        while True:
            await asyncio.sleep(_SOON if self.unknown else _DAY)
            try:
                for name, served in list(self._catalogue.served.items()):
                    found = await self.look(served)
                    # A version that came in the meantime was looked at when it came.
                    if self._catalogue.served.get(name) is served:
                        self._catalogue.served[name] = found
            except Exception as error:  # tomorrow is another day, and nobody else would look
                _log.error("canaries_failed", exc_info=error)

    async def look(self, served: Served) -> Served:
        """Give the adapter with what its canaries say now; as it was where the upstream cannot be asked.

        Raises:
            EncoderError: The upstream refuses to embed, and will again.
        """
        if self._policy == "off":
            return served
        canaries = served.canaries
        if canaries is None:
            fields = {
                "adapter": served.name,
                "reason": "the adapter was saved without canaries: tune again to have them",
            }
            _log.warning("no_canaries", extra={"fields": fields})
            return served
        try:
            queries = await self._embed(canaries.queries, "query")
            documents = await self._embed(canaries.documents, "document")
        except ApiError as error:
            if error.status in _FOR_GOOD:
                raise EncoderError(f"{error.message} (status {error.status}; asked for the canaries)") from None
            self.unknown.add(served.name)
            fields = {"adapter": served.name, "status": str(error.status), "again_in_seconds": f"{_SOON:g}"}
            _log.warning("canaries_not_checked", extra={"fields": fields})
            return served
        self.unknown.discard(served.name)
        drift = canaries.compare(queries, documents)
        self._metrics.cosine.set(drift.cosine, served.name)
        self._tell(served, drift)
        return replace(served, drift=drift)

    def blocks(self, served: Served) -> bool:
        """Whether an adapter must not answer."""
        return self._policy == "refuse" and served.drift is not None and served.drift.state == "changed"

    def refuse(self, served: Served) -> None:
        """Refuse to serve an adapter whose encoder has changed.

        Raises:
            ArtifactError: It has, and the policy is to refuse.
        """
        if self.blocks(served):
            raise ArtifactError(self.refusal(served))

    def refusal(self, served: Served) -> str:
        """Say what has changed, and what to do."""
        reason = served.drift.reason if served.drift else ""
        return (
            f"{self._name} no longer gives the vectors that the adapter {served.name} was trained on: {reason}. "
            "Your index is of the old vectors, too: embed it again and tune again, or find the old model. To serve all "
            "the same: --canaries warn"
        )

    def _tell(self, served: Served, drift: Drift) -> None:
        level = {"same": logging.INFO, "moved": logging.WARNING, "changed": logging.ERROR}[drift.state]
        fields = {
            "adapter": served.name,
            "state": drift.state,
            "cosine": round(drift.cosine, 6),
            "reason": drift.reason,
        }
        _log.log(level, "canaries", extra={"fields": fields})
