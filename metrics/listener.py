"""Answers scrapes of a registry over HTTP, by names of ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

from config.hosts import is_our_host


@contextmanager
def listener(registry: CollectorRegistry, *, address: str, port: int, allowed_hosts: str | None) -> Iterator[int]:
    """Answer scrapes at the address until the block ends; yields the port, which 0 leaves to the system.

    Raises:
        OSError: the address cannot be listened on.

    """
    server, thread = start_http_server(port, address, registry=registry)
    server.set_app(_for_our_hosts(make_wsgi_app(registry), address, allowed_hosts))
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _for_our_hosts(application: WSGIApplication, address: str, more: str | None) -> WSGIApplication:
    """Return the application with 403 for requests by a name that is not ours, as a foreign web page makes them."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if is_our_host(environ.get("HTTP_HOST", ""), address=address, more=more):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This name is not allowed; add it to RELABEL_METRICS__ALLOWED_HOSTS.\n"]

    return guarded
