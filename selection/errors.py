"""The errors of a selection: of what was asked for, or of one completion."""

from __future__ import annotations


class BadSelection(ValueError):
    """What was asked for makes no selection; the message says what is wrong, where, and what to write instead.

    `column` counts the characters of an expression or a template from 1; None where it is about something else.
    """

    def __init__(self, message: str, column: int | None = None) -> None:
        super().__init__(message)
        self.column = column


class BadExpression(BadSelection):
    """An expression or a template that cannot be used; `column` counts its characters from 1."""

    def __init__(self, what: str, column: int) -> None:
        super().__init__(f"column {column}: {what}", column)
        self.what = what
        self.column: int = column


class LeftOut(Exception):
    """A completion cannot get the values that were asked for, so it is left out; `reason` names why, and no value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
