"""The Prometheus endpoint, read from the ledger: the only package that knows prometheus_client."""
