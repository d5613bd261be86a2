"""The options that say how an input is read, as the command line and the inbox' setting write them."""

from __future__ import annotations

import argparse
import csv
import shlex
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, NoReturn

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", r"\t": "\t", "pipe": "|"}
"""What a delimiter may be called where it is hard to type."""


class KeyColumn(NamedTuple):
    """A metadata key and the column, or the field, that its values are in."""

    key: str
    column: str


class InputOptions(NamedTuple):
    """How an input is read. What is not set is found in the input itself, where it is plain.

    Of the columns only those in `columns` become keys, all of them where it is empty. A cell that is one of the texts
    in `null` removes its key. In JSONL a column is a field, or a dotted path to one. `stringify` takes JSON numbers and
    booleans as their text.
    """

    layout: Literal["csv", "jsonl"] | None = None
    delimiter: str | None = None
    id_column: str | None = None
    columns: tuple[KeyColumn, ...] = ()
    null: frozenset[str] = frozenset()
    stringify: bool = False


NO_OPTIONS = InputOptions()
"""How an input is read that nothing was said about."""


class InputOption(NamedTuple):
    """One option: its flag, the field that it sets, and how its text is read; a `read` of None is a switch.

    `read` raises ValueError with what the text must be. `choices` are all texts there are; `many` may be repeated.
    """

    flag: str
    field: str
    help: str
    read: Callable[[str], Any] | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    many: bool = False


def delimiter(text: str) -> str:
    """Return the one character that a delimiter is, by itself or by its name."""
    found = DELIMITERS.get(text.lower(), text)
    if len(found) != 1 or found.isalnum() or found in "\"'\r\n\0\ufeff":
        raise ValueError(f"must be one character such as ';', or one of {', '.join(DELIMITERS)}")
    return found


def column_name(text: str) -> str:
    """Return the name of a column without space around it."""
    if not (name := text.strip()):
        raise ValueError("must name a column")
    return name


def key_columns(text: str) -> tuple[KeyColumn, ...]:
    """Return the keys of a list such as `team,quality=Quality`; a name with a comma stands in double quotes."""
    try:
        [items] = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise ValueError("must be names separated by commas; put a name with a comma in double quotes") from None
    return tuple(map(_key_column, items))


def _key_column(item: str) -> KeyColumn:
    key, renamed, column = (part.strip() for part in item.partition("="))
    if not key or bool(renamed) != bool(column):
        raise ValueError("must be names separated by commas, such as team,quality=Quality")
    return KeyColumn(key, column or key)


INPUT_OPTIONS = (
    InputOption("--input-format", "layout", "Default: told by the file's name.", str, choices=("csv", "jsonl")),
    InputOption(
        "--delimiter",
        "delimiter",
        "What separates the columns of a CSV file: one character, or tab. Default: found in its header.",
        delimiter,
        metavar="CHAR",
    ),
    InputOption(
        "--id-column",
        "id_column",
        "Column of the ids; in JSONL a field, or a path such as response.body.id. Default: completion_id or id.",
        column_name,
        metavar="NAME",
    ),
    InputOption(
        "--columns",
        "columns",
        "Only these columns, or fields of JSONL, become keys, such as team,quality=Quality; KEY=COLUMN renames.",
        key_columns,
        metavar="LIST",
        many=True,
    ),
    InputOption(
        "--null",
        "null",
        "Cells or values with exactly this text remove their key. May be repeated.",
        str,
        "TEXT",
        many=True,
    ),
    InputOption("--stringify", "stringify", "Take JSON numbers and booleans as their text."),
)


def input_options(fields: dict[str, Any]) -> InputOptions:
    """Return the options of what each field was given; those that may be repeated as a sequence.

    Raises:
        ValueError: they contradict each other.

    """
    columns = tuple(column for columns in fields["columns"] or () for column in columns)
    for position, names in enumerate(zip(*columns, strict=True)):
        if len(set(names)) < len(names):
            raise ValueError(f"--columns names a {('key', 'column')[position]} twice; name each once")
    return InputOptions(**{**fields, "columns": columns, "null": frozenset(fields["null"] or ())})


def parse_input_options(text: str) -> InputOptions:
    """Return the options of a text such as `--delimiter ';' --id-column Id`, quoted as for a shell.

    Raises:
        ValueError: what is wrong with it.

    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in INPUT_OPTIONS:
        if option.read is None:
            parser.add_argument(option.flag, dest=option.field, action="store_true")
        else:
            action = "append" if option.many else "store"
            kind, choices = _argument(option.read), option.choices or None
            parser.add_argument(option.flag, dest=option.field, type=kind, choices=choices, action=action)
    return input_options(vars(parser.parse_args(shlex.split(text))))


def input_options_text(text: str) -> str:
    """Return the text of options that can be read; raise ValueError with what is wrong."""
    parse_input_options(text)
    return text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"must be options of `relabel submit` that say how a file is read; {message}")


def _argument(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def value_of(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value_of
