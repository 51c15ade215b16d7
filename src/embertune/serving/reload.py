"""New versions of adapters, taken up while the server runs: requests under way end on the version they began with."""

from __future__ import annotations

import asyncio
import logging

from embertune.encoders.spec import EncoderSpec
from embertune.errors import EmbertuneError
from embertune.serving.canaries import CanaryWatch
from embertune.serving.catalogue import Catalogue, Served, Stamp, load_served, stamp_of
from embertune.serving.metrics import Metrics

__all__ = ["Reloader"]

_log = logging.getLogger("embertune.serving")


class Reloader:
    """Looks at the folders of adapters; a version that is damaged, or does not fit, leaves the old one in place.

    Args:
        catalogue: Whose adapters are replaced.
        watch: Looks at the canaries of a new version before it is served.
        metrics: Told of reloads.
        seconds: How often to look.
    """

    def __init__(self, catalogue: Catalogue, watch: CanaryWatch, metrics: Metrics, *, seconds: float) -> None:
        self._catalogue, self._watch, self._metrics, self._seconds = catalogue, watch, metrics, seconds
        self._refused: dict[str, Stamp] = {}

    async def run(self, spec: EncoderSpec) -> None:
        """Look every few seconds, until cancelled.

        Args:
            spec: Of the upstream.
        """
        while True:
            await asyncio.sleep(self._seconds)
            for name, served in list(self._catalogue.served.items()):
                try:
                    await self.look(name, served, spec)
                except Exception as error:  # the other adapters, and the next version, are to be taken up all the same
                    _log.error("reload_failed", exc_info=error, extra={"fields": {"adapter": name}})

    async def look(self, name: str, served: Served, spec: EncoderSpec) -> None:
        """Take up the adapter's new version, if there is a whole one."""
        stamp = await asyncio.to_thread(stamp_of, served.folder)
        # While a folder is exchanged for another there is none for a moment.
        if stamp is None or stamp in (served.stamp, self._refused.get(name)):
            return
        try:
            found = await asyncio.to_thread(load_served, name, served.folder, spec)
            _refuse_other_space(served, found, spec)
            found = await self._watch.look(found)
            if self._watch.blocks(found):
                raise EmbertuneError(found.drift.reason if found.drift else "")
        except (EmbertuneError, OSError) as error:
            self._refused[name] = stamp
            self._metrics.reloads.add(name, "refused")
            fields = {"adapter": name, "reason": str(error), "kept": "the version before"}
            _log.error("reload_refused", extra={"fields": fields})
            return
        self._catalogue.served[name] = found
        self._metrics.reloads.add(name, "done")
        _log.info("reloaded", extra={"fields": {"adapter": name, "type": found.adapter.type}})


def _refuse_other_space(before: Served, after: Served, spec: EncoderSpec) -> None:
    """Refuse a version whose answers do not fit the index that clients search."""
    old, new = (served.adapter.output_dimension or spec.dimension for served in (before, after))
    if None not in (old, new) and old != new:
        raise EmbertuneError(
            f"it gives {new} dimensions and the version before {old}, which no index takes together. Serve it under "
            "another name, or restart"
        )
    if before.adapter.changes("document") or after.adapter.changes("document"):
        reason = "one of the two versions moves documents: write the stored vectors again with the new one"
        _log.warning("index_is_of_another_version", extra={"fields": {"adapter": after.name, "reason": reason}})
