"""HTTP connections that do not wait long for anybody, so that strangers cannot take all of them."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE_SECONDS = 10.0
"""For a whole request, or for a client that does not read its answer."""
MOST = 200
"""Connections at a time. One more, and the one that has kept us waiting longest is closed."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's own, with a deadline: by itself it waits for ever for the rest of a request that has begun."""

    _timer: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Make room, and begin to wait for a request."""
        open_ones = [one for one in self.connections if not one.transport.is_closing()]
        waiting = [one for one in open_ones if isinstance(one, ImpatientProtocol) and one._timer is not None]
        if len(open_ones) >= MOST and waiting:
            min(waiting, key=lambda one: one._since)._give_up()
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request does not move the deadline."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait anew, for the next request."""
        super().on_response_complete()
        self._stop()
        self._watch()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self._watch()

    def _watch(self) -> None:
        is_waiting = self.flow.write_paused or self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if not is_waiting or self.transport.is_closing():
            self._stop()
        elif self._timer is None:
            self._since = self.loop.time()
            self._timer = self.loop.call_later(PATIENCE_SECONDS, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._stop()
        self.transport.abort()
