"""Writes down what became of a job's rows, in the layout of its input."""
