"""Notifications of jobs that ended or paused: events, an outbox that outlives workers, and a signed webhook."""
