"""HTTP connections with a time limit, so that other programs cannot block the server by keeping them open."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

TIMEOUT_SECONDS = 10.0
"""Time for a whole request, or for a client to read its response."""
MAX_CONNECTIONS = 200
"""Open connections at a time. For one more, the one that has waited longest is closed."""


class TimeoutProtocol(H11Protocol):
    """uvicorn's protocol with a deadline: uvicorn waits for the rest of a request without limit."""

    _timer: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Close a waiting connection if there are too many, and start the deadline."""
        open_ones = [one for one in self.connections if not one.transport.is_closing()]
        waiting = [one for one in open_ones if isinstance(one, TimeoutProtocol) and one._timer is not None]
        if len(open_ones) >= MAX_CONNECTIONS and waiting:
            min(waiting, key=lambda one: one._since)._give_up()
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the deadline."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; the deadline stays."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start a new deadline for the next request."""
        super().on_response_complete()
        self._stop()
        self._watch()

    def pause_writing(self) -> None:
        """The client has stopped reading: start the deadline."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The client reads again: cancel the deadline."""
        super().resume_writing()
        self._watch()

    def _watch(self) -> None:
        is_waiting = self.flow.write_paused or self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if not is_waiting or self.transport.is_closing():
            self._stop()
        elif self._timer is None:
            self._since = self.loop.time()
            self._timer = self.loop.call_later(TIMEOUT_SECONDS, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._stop()
        self.transport.abort()
