"""Notifications: what ended, an outbox that outlives workers, and a signed webhook."""
