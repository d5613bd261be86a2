"""The doors people use: the command `relabel`."""
