"""Notifications of jobs that ended, paused or are held: events, an outbox that outlives workers, a signed webhook."""
