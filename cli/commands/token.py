"""`relabel token`: the tokens that open the HTTP API."""

from __future__ import annotations

from typing import Any

import click

from cli.console import echo, echo_indented
from cli.output import print_facts
from cli.session import in_session, pass_settings
from config.settings import Settings
from config.text import printable
from config.web import Scope, parse_scopes
from ledger.tokens import KnownToken
from relabel.tokens import DEFAULT_DAYS, MOST_DAYS, create_token, list_tokens, revoke_token, token_facts
from relabel.wording import local_time

WHO_CHARS = 100


# generic from click 8.5 on only
class Scopes(click.ParamType):  # type: ignore[type-arg]
    """Scopes as people write them: one, or several with commas between them."""

    name = "scopes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[Scope]:
        """Return the scopes."""
        try:
            return parse_scopes(str(value))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


@click.group("token")
def token_command() -> None:
    """Make, list and revoke tokens for the HTTP API.

    Whoever can write to Redis can make one; `relabel serve` takes them.

    \b
    Examples:
      relabel token create --name ci --scope submit
      relabel token list
      relabel token revoke ci
    """


@token_command.command("create")
@click.option("--name", required=True, help="Name of the token, by which it is listed and revoked.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=Scopes(),
    help="What it permits, such as read,control: read (all GET, metadata values included), submit (jobs), control "
    "(pause, resume, cancel, retry, undo, rate), approve, admin (tokens). Each includes read. Default: read.",
)
@click.option("--owner", default="", help="The person who acts by it, for logs. Default: you.")
@click.option(
    "--days",
    type=click.FloatRange(0, MOST_DAYS, min_open=True),
    default=DEFAULT_DAYS,
    show_default=True,
    help="Days that it is valid.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the token and what is known of it as JSON.")
@pass_settings
def create_command(
    settings: Settings, *, name: str, scopes: tuple[frozenset[Scope], ...], owner: str, days: float, as_json: bool
) -> None:
    """Make a token and print it, once.

    Redis keeps a hash of it only, so that nobody can show it again.

    \b
    Example:
      relabel token create --name lead --scope read,control,approve --owner ada
    """
    wanted = frozenset[Scope]().union(*scopes)
    made = in_session(settings, lambda session: create_token(session, name, wanted, owner=owner, days=days))
    if as_json:
        print_facts({"token": made.text} | token_facts(made.token))
        return
    token = made.token
    said = f"{token.owner} may {', '.join(token.scopes)} until {local_time(token.expires_at)}"
    echo(f"Token {token.name}: {said}. It is shown this once:", err=True)
    echo(made.text)


@token_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@pass_settings
def list_command(settings: Settings, *, as_json: bool) -> None:
    """List the valid tokens: whose they are, what they permit, until when.

    When one was used last is known to the minute.

    \b
    Example:
      relabel token list
    """
    found = in_session(settings, list_tokens)
    if as_json:
        print_facts([token_facts(token, used_at) for token, used_at in found])
        return
    for known in found:
        _show(known)
    if not found:
        echo("There are no tokens; `relabel token create` makes one.", err=True)


@token_command.command("revoke")
@click.argument("name")
@pass_settings
def revoke_command(settings: Settings, *, name: str) -> None:
    """Make the token NAME invalid at once.

    Streams that it opened end within seconds.

    \b
    Example:
      relabel token revoke ci
    """
    in_session(settings, lambda session: revoke_token(session, name))
    echo(f"Token {printable(name)} is revoked.", err=True)


def _show(known: KnownToken) -> None:
    token, used_at = known
    used = "never used" if used_at is None else f"last used {local_time(used_at)}"
    echo(f"{printable(token.name, WHO_CHARS)}  {', '.join(token.scopes)}")
    echo_indented(
        f"of {printable(token.owner, WHO_CHARS)}, valid until {local_time(token.expires_at)}, {used}; "
        f"made {local_time(token.created_at)} by {printable(token.created_by, WHO_CHARS)}",
        indent=2,
    )
