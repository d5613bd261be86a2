"""The worker: applies patches to the API under one shared rate and settles each row."""
