"""Access control: only requests from the review page itself, with the key, are served. All others are refused before
any file is read.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsol.review.address import Address

OWN_HEADER = "x-wsol-review"
"""Forms and links cannot send this header; a script of another origin needs a CORS preflight, which is refused."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


class Guard:
    """Refuses requests or passes them on; adds security headers to every response."""

    def __init__(self, app: ASGIApp, address: Address) -> None:
        self.app = app
        self.token = address.token
        self.cookie = f"wsol-review-{address.port}"  # cookies are shared by all ports of a host
        self.entrance = f"/review/{address.token}"
        self.hosts = {f"127.0.0.1:{address.port}", f"localhost:{address.port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        is_entrance = secrets.compare_digest(scope["path"].encode(), self.entrance.encode())

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                given.update(HEADERS)
                if is_entrance and message["status"] == 200:
                    given["set-cookie"] = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
            await send(message)

        refusal = self._refusal(scope["method"], headers, is_entrance)
        answer = self.app if refusal is None else PlainTextResponse(refusal[1] + "\n", refusal[0])
        await answer(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers, is_entrance: bool) -> tuple[int, str] | None:
        host = headers.getlist("host")
        if len(host) != 1 or host[0] not in self.hosts:
            # DNS rebinding: another site's name that resolves to 127.0.0.1 would share our origin with that site.
            return 421, "This page is only served at 127.0.0.1."
        if is_entrance:
            return None if method in ("GET", "HEAD") else (405, "Only GET.")
        if not self._has_key(headers):
            return 403, "Open the address that `wsol review` printed: it contains the key."
        # A page on another port of this machine counts as same-site, so its requests carry the cookie.
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "Only the review page itself may send requests."
        if method in ("GET", "HEAD"):
            return None
        if headers.get("origin", f"http://{host[0]}") != f"http://{host[0]}" or OWN_HEADER not in headers:
            return 403, "Only the review page itself may send requests."
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return 415, "Only application/json."
        return None

    def _has_key(self, headers: Headers) -> bool:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return False
        return found is not None and secrets.compare_digest(found.value.encode(), self.token.encode())
