"""Benchmarks, run by `make bench`; nothing imports them."""
