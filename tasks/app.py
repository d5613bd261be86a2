"""The application that `celery -A tasks.app worker|beat|flower` finds."""

from __future__ import annotations

import sys

from config.environment import load_settings
from config.errors import SettingsError
from config.text import printable
from tasks.worker_app import make_worker_app

try:
    app = make_worker_app(load_settings())
except SettingsError as error:
    sys.stderr.write(f"relabel: {printable(str(error))}\n")
    raise SystemExit(2) from None
