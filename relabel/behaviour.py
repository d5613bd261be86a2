"""What a probe found out about the service behind the API, in words."""

from __future__ import annotations

from config.settings import Settings
from embedded.errors import ServerNotStarted
from ledger.connect import open_ledger
from ledger.errors import LedgerUnreachable
from ledger.ledger import Ledger
from ledger.service_profile import Behaviour, Null, PairLimit, Semantics
from relabel.session import server_for
from relabel.wording import day_of

_SEMANTICS = {
    Semantics.REPLACES: "replaces all metadata: a key that it leaves out is gone",
    Semantics.MERGES: "merges: a key that it leaves out stays",
}
_NULL = {
    Null.REMOVES: "removes",
    Null.CLEARS: "removes all other keys, too",
    Null.UNCLEAR: "removes; whether other keys stay cannot be told on a completion with one key",
    Null.KEPT: "is kept as it is",
    Null.IGNORED: "changes nothing",
    Null.CHANGES: "does something else than to remove",
    Null.REFUSED: "is refused",
    Null.UNKNOWN: "has no certain effect: the service failed when it was asked",
}
_PAIRS = {
    PairLimit.REQUEST: "counts the pairs of a request, also those with null",
    PairLimit.RESULT: "does not count pairs with null",
    PairLimit.UNKNOWN: "cannot be told without leaving keys behind",
}


_LISTED = {True: "shows an update as soon as a read does", False: "may show an update later than a read does"}


async def known_behaviour(settings: Settings) -> Behaviour | None:
    """Return what a probe found at the endpoint of these settings; None where there was none or the ledger is away.

    Where they name no server, the embedded one is started, which blocks for as long as that takes.
    """
    if settings.redis.url is None and not (settings.state_folder / "redis").exists():
        return None
    try:
        with server_for(settings) as (reachable, _):
            async with open_ledger(reachable.ledger_url, retry=False) as redis:
                return await Ledger(redis).behaviours.of(settings.openai_base_url)
    except (LedgerUnreachable, ServerNotStarted, OSError):
        return None


def behaviour_lines(behaviour: Behaviour) -> list[tuple[str, str]]:
    """Return what was found, a line a fact."""
    later = [
        ("Empty text", _NULL[behaviour.empty_value] if behaviour.empty_value else ""),
        ("16 pairs", _PAIRS[behaviour.pair_limit] if behaviour.pair_limit else ""),
        ("Its list", _LISTED[behaviour.listed_at_once] if behaviour.listed_at_once is not None else ""),
        ("Its answer", "repeats what was sent and proves no removal: reads do" if behaviour.reply_echoes else ""),
    ]
    return [
        ("An update", _SEMANTICS[behaviour.semantics]),
        ("Null", f"for a value {_NULL[behaviour.null_value]}; for all metadata {_NULL[behaviour.null_map]}"),
        *((word, said) for word, said in later if said),
        ("Speed", f"a read takes {behaviour.read_s:.2g} s, an update {behaviour.write_s:.2g} s"),
        ("Visible", f"a read shows an update after {behaviour.visible_after_s:.2g} s at most"),
        ("Probed", day_of(behaviour.at)),
    ]
