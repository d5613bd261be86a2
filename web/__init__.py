"""The HTTP API: `relabel serve`. It parses, calls a use case of `relabel/`, and shows what comes of it as JSON."""
