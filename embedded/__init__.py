"""The embedded server: a private Redis or Valkey for one machine, alive exactly as long as somebody uses it.

Standard library only, and nothing of ours outside this folder, so that a short command may ask for it cheaply.
"""

from embedded.binary import find_server_binary
from embedded.errors import ServerNotStarted
from embedded.private import NotPrivate, make_private, open_private
from embedded.server import EmbeddedServer, embedded_server

__all__ = [
    "EmbeddedServer",
    "NotPrivate",
    "ServerNotStarted",
    "embedded_server",
    "find_server_binary",
    "make_private",
    "open_private",
]
