"""Keeps the place in a list that is read page by page while completions come and go, and tells what is new on a page.

Pages are found again by completions on earlier ones, as the one after which the next page begins may be deleted. The
time of creation tells what was seen before, and never the order of ids: many are created in the same second, in none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

import msgspec

from completions.age import KEPT_DAYS
from completions.errors import StopJob
from completions.list_page import Listed, Order, Page

OVERLAP_S = 1
"""Seconds by which two creation times may differ and still count as the same (contract section 0, "Paging")."""
REMEMBERED = 10_000
"""Ids of the last completions that are remembered in memory: more than lie between the ends of the trail."""
STORED = 1_000
"""Ids that a stored cursor holds of those, where so many were created about when the last one was."""
FURTHEST_PAGES = 64
"""How many pages back the trail reaches."""
MOST_IDLE = 25
"""Pages in a row that may bring nothing new, besides twice those that lie behind: more than the trail has places."""
MOST_ENDS = 3
"""Empty pages after which the list has ended, each after a page that promised more."""


def nearest_end(since: float | None, until: float | None, *, now: float) -> Order:
    """Return the order that reaches what was created in between with the fewest pages."""
    if until is None:
        return "desc"
    newer, older = now - until, (since or 0) - (now - KEPT_DAYS * 86_400)
    return "asc" if older < newer else "desc"


class Doubts(msgspec.Struct, omit_defaults=True):
    """How often something happened that leaves doubts about a reading.

    `restarts`: no place was left to go back to, so it began again at its end of the list. `repeats`: of these, those
    after which completions may come twice, as more were created at once than are remembered. `disorder`: completions
    that stood in the list out of the order of creation. `unusable`: entries without an id. `undated`: completions
    whose creation is not known, left out where it matters. `short`: the list ended where it had promised more.
    """

    restarts: int = 0
    repeats: int = 0
    disorder: int = 0
    unusable: int = 0
    undated: int = 0
    short: int = 0

    def sentences(self) -> list[str]:
        """Return what could not be seen for sure, a sentence each."""
        said = {
            f"{self.unusable:,} entries of the list show no id that can be used": self.unusable,
            f"{self.undated:,} completions show no creation time and were left out": self.undated,
            "the list is not in the order of creation, so it was read to its end": self.disorder,
            "the list had to be begun again: completions that were created or deleted meanwhile may be missing": (
                self.restarts
            ),
            "some completions may occur twice": self.repeats,
            "the list ended where it had promised more": self.short,
        }
        return [sentence for sentence, times in said.items() if times]


class Cursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place in a list, which can be stored as JSON and resumed from with the same query.

    `trail` has ids after which a page may begin, each with the number of its page; the last one goes first. `began` and
    `created` are when the first and the last completion were created, `recent` what was read about the last one's time.
    `pages` and `read` count from the start.
    """

    order: Order
    trail: list[tuple[int, str]] = []
    began: int | None = None
    created: int | None = None
    recent: list[str] = []
    pages: int = 0
    read: int = 0
    ended: bool = False
    doubts: Doubts = msgspec.field(default_factory=Doubts)


class Place:
    """A place in a list: `take` is told of each page, `lose` that the completion after which one was to begin is gone.

    `since` (included) and `until` (excluded) bound the time of creation, in seconds since the epoch.
    """

    def __init__(self, cursor: Cursor, *, since: float | None = None, until: float | None = None) -> None:
        self._descends = cursor.order == "desc"
        self._since, self._until = since, until
        self._trail = cursor.trail[:]
        self._began, self._created = cursor.began, cursor.created
        self._recent = dict.fromkeys(cursor.recent)
        self._created_of = deque[tuple[str, int | None]]((each, cursor.created) for each in cursor.recent)
        self._most_recent = STORED if cursor.pages else REMEMBERED
        self._doubts = msgspec.structs.replace(cursor.doubts)
        self._idle = self._ends = self._pages_to_go_over = 0
        self._first_page: dict[str, int] = {}
        self._goes_over_old = self._began_again = self._was_empty = False
        self.pages, self.read, self.ended = cursor.pages, cursor.read, cursor.ended

    @property
    def after(self) -> str | None:
        """The id after which the next page begins, None for the first page."""
        return self._trail[-1][1] if self._trail else None

    @property
    def cursor(self) -> Cursor:
        """The place as it can be stored."""
        return Cursor(
            "desc" if self._descends else "asc",
            self._trail[:],
            self._began,
            self._created,
            self._read_about_now()[-STORED:],
            self.pages,
            self.read,
            self.ended,
            msgspec.structs.replace(self._doubts),
        )

    def take(self, page: Page) -> list[Listed]:
        """Go on past a page, and return the completions on it that are new and within the bounds.

        Raises:
            StopJob: the list repeats its pages.

        """
        self.pages += 1
        self._doubts.unusable += page.unusable
        if not page.items:
            self._take_empty(page)
            return []
        self._was_empty = False
        if self.after is None:
            self._first_page = {item.id: number for number, item in enumerate(page.items)}
        elif self._is_first_again(page.items):
            self.lose()
            return []
        new = [item for item in page.items if not self._was_read(item)]
        self._remember(new)
        self._follow(page)
        self.ended = not page.has_more or self._is_past_bounds(page.items)
        if new:
            self._goes_over_old = self._began_again = False
            self._idle = self._ends = self._pages_to_go_over = 0
        elif not self.ended:
            self._note_idle()
        return [item for item in new if self._is_wanted(item)]

    def lose(self) -> None:
        """Go back to an earlier completion, or to where the list was begun, and over what was read since.

        Raises:
            StopJob: the list repeats its pages.

        """
        if not self._goes_over_old:
            self._goes_over_old, self._pages_to_go_over = True, self.pages
        self._note_idle()
        if self._trail:
            self._trail.pop()
        if not self._trail:
            self._began_again = True
            self._doubts.restarts += 1
            is_sure = len(self._read_about_now()) < self._most_recent and not self._doubts.disorder
            self._doubts.repeats += not is_sure

    def _take_empty(self, page: Page) -> None:
        """Decide whether the list has ended, or a server shows nothing after a completion that is gone."""
        if page.unusable and page.has_more and page.last_id:
            self._note_idle()
            self._follow(page)
            return
        self._ends += not self._was_empty
        self._was_empty = True
        if self._ends >= MOST_ENDS or (self.after is None and not page.has_more):
            self.ended = True
            self._doubts.short += self._ends >= MOST_ENDS
        else:
            self.lose()

    def _is_first_again(self, items: Sequence[Listed]) -> bool:
        """Return whether these are the list's first, from a server that ignores a completion that is gone."""
        before = self._first_page.get(self.after or "", len(self._first_page))
        if any(self._first_page.get(item.id, before + 1) <= before for item in items):
            return True
        began, created = self._began, items[0].created
        if self._began_again or began is None or created is None:
            return False
        is_first = created >= began - OVERLAP_S if self._descends else created <= began + OVERLAP_S
        return is_first and self._is_passed(created)

    def _was_read(self, item: Listed) -> bool:
        if item.id in self._recent:
            return True
        return self._goes_over_old and not self._doubts.disorder and self._is_passed(item.created)

    def _is_passed(self, created: int | None) -> bool:
        """Return whether everything that was created then lies behind, by more than the overlap."""
        if created is None or self._created is None:
            return False
        return created > self._created + OVERLAP_S if self._descends else created < self._created - OVERLAP_S

    def _remember(self, new: Sequence[Listed]) -> None:
        nearest = min if self._descends else max
        for item in new:
            self._recent[item.id] = None
            self._created_of.append((item.id, item.created))
            if item.created is not None:
                self._doubts.disorder += self._is_passed(item.created)
                self._began = item.created if self._began is None else self._began
                self._created = item.created if self._created is None else nearest(self._created, item.created)
        self.read += len(new)
        while len(self._created_of) > REMEMBERED:
            del self._recent[self._created_of.popleft()[0]]

    def _read_about_now(self) -> list[str]:
        latest = takewhile(lambda read: not self._is_passed(read[1]), reversed(self._created_of))
        return [each for each, _ in latest][::-1]

    def _follow(self, page: Page) -> None:
        """Add the page to the trail, which keeps the fewer of the pages before the further back they are."""
        ids = [item.id for item in page.items]
        places = [*ids[len(ids) // 2 : len(ids) // 2 + 1], *ids[-2:-1], page.last_id]
        last_of = dict(self._trail)
        kept = [(page, each) for page, each in last_of.items() if _is_kept(page, self.pages - page)]
        self._trail = kept + [(self.pages, each) for each in dict.fromkeys(places) if each]

    def _note_idle(self) -> None:
        self._idle += 1
        if self._idle > MOST_IDLE + 2 * self._pages_to_go_over:
            what = f"the API's list repeats itself: {self._idle} pages in a row brought nothing new"
            raise StopJob("list_stuck", f"{what}; try again later, or name the completions in a file")

    def _is_past_bounds(self, items: Sequence[Listed]) -> bool:
        """Return whether nothing that is wanted can follow these; a list in no order is read to its end."""
        created = items[-1].created
        if created is None or self._doubts.disorder:
            return False
        if self._descends:
            return self._since is not None and created < self._since - OVERLAP_S
        return self._until is not None and created >= self._until + OVERLAP_S

    def _is_wanted(self, item: Listed) -> bool:
        if self._since is None and self._until is None:
            return True
        if item.created is None:
            self._doubts.undated += 1
            return False
        is_early = self._since is not None and item.created < self._since
        return not is_early and (self._until is None or item.created < self._until)


def _is_kept(page: int, age: int) -> bool:
    return age <= FURTHEST_PAGES and page % (1 << max(0, age.bit_length() - 1)) == 0
