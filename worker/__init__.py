"""The worker: applies patches to the API under one shared rate and settles each row.

runtime > shard_run > row_lane > row_run > row_calls > checked_api is one row's way down; what runs beside it is rescue.
"""
