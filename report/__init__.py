"""The outcome of a job's rows, in the format of its input, and what was changed."""
