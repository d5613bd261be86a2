"""The nightly run: its state, the inbox, and the filing of what came of each file."""
