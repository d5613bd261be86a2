"""The console in a browser: one server and one headless Chromium for all tests of this folder."""

from __future__ import annotations

import asyncio
import html
import importlib.resources
import os
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest

from config.web import Scope
from ledger.ledger import Ledger
from nightly.state import FileState, NightFile
from tests.cli.conftest import at_work, end_rows, environment, make_job, read, relabel  # noqa: F401 - fixtures
from tests.web.conftest import Served, connect, document, ledger, new_token, served  # noqa: F401 - fixtures
from web.callers import SESSION_COOKIE

if TYPE_CHECKING:
    # half a second in each process of the tests, of which one has a browser
    from selenium import webdriver
    from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PICTURES = os.environ.get("CONSOLE_PICTURES", "")
"""Folder for a picture of each page at each width, as in docs/."""
LONGEST_S = 30
WIDE, NARROW = 1280, 400
MOST_TABS = 60
_AXE = (importlib.resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
_RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
  .then((found) => done(found.violations.map((each) => [each.impact, each.id, each.nodes.map((node) => node.html)])));
"""


_BADLY_SHOWN = """
const tall = (each) => each.getBoundingClientRect().height;
const inText = (each) => getComputedStyle(each).display === "inline" || each.matches(".skip, .fold summary");
const small = (each) => tall(each) && tall(each) < 24 && !inText(each);
const all = (what, is, fault) => [...document.querySelectorAll(what)].filter(is).map((each) => [fault, each.outerHTML]);
return all("[hidden]", tall, "is hidden").concat(all("a, button, summary", small, "is too small to tap on"));
"""
"""What is shown though it is hidden, and what a finger misses: links in a sentence may be small (WCAG 2.5.8)."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser its tests are skipped."""
    if not (BROWSER and DRIVER):
        skip = pytest.mark.skip(reason="no browser: apt-get install chromium chromium-driver brings one")
        for item in items:
            if "browser" in getattr(item, "fixturenames", ()):
                item.add_marker(skip)


def night_file(name: str, state: FileState, **more: Any) -> NightFile:
    """A file of a nightly run."""
    return NightFile(name=name, state=state, size=1, changed_ns=1, taken_at=1.0, **more)


def words_of(page: httpx.Response) -> str:
    """What a page says, without its markup, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


class Browser:
    """A browser that may be signed in. Its calls block, so that tests make them in a thread (`look`)."""

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def be(self, session: str) -> None:
        """Be signed in with a session only."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        cookie = {"name": SESSION_COOKIE, "value": session, "url": self.url, "httpOnly": True, "sameSite": "Strict"}
        if session:
            self.driver.execute_cdp_cmd("Network.setCookie", cookie)

    def prefer(self, feature: str, value: str) -> None:
        """Have a preference, such as prefers-reduced-motion, and no other."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": feature, "value": value}]})

    def print_view(self) -> None:
        """Show the page as it is printed; `resize` shows it on the screen again."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})

    def resize(self, width: int, *, dark: bool = False) -> None:
        """Have a window of this width, and light or dark colours."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": scheme})

    def open(self, path: str, *, until: str = "") -> str:
        """Go to a page and wait until it shows these words; return what it shows."""
        self.driver.get(self.url + path)
        return self.until(until)

    def until(self, words: str) -> str:
        """Wait until the page shows these words; return what it shows."""

        def shown() -> str:
            text: str = self.driver.find_element("tag name", "body").text
            return text if words in text else ""

        return self._wait(shown, f"shows {words!r}")

    def until_found(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so."""
        self._wait(is_so, "is so")

    def _wait(self, condition: Callable[[], T], what: str) -> T:
        """Return what the condition returns once that is true; the page may be replaced while it is looked at."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.wait import WebDriverWait

        wait = WebDriverWait(self.driver, LONGEST_S, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(lambda _: condition(), f"{what}: {self.driver.page_source[:4000]}")

    def live(self) -> str:
        """Return what the page says of its live updates."""
        return self.driver.find_element("class name", "live-state").text

    def run(self, script: str) -> Any:
        """Run a script on the page, and return what it returns."""
        return self.driver.execute_script(script)

    def focus(self, text: str) -> None:
        """Bring the keyboard to the link or button with this text."""
        self.driver.execute_script("arguments[0].focus()", self._named(text))

    def unfold(self, text: str) -> None:
        """Open what is folded under this text, as the keyboard does."""
        from selenium.webdriver.common.keys import Keys

        summary = self.driver.find_element("xpath", f"//summary[normalize-space()={text!r}]")
        self.driver.execute_script("arguments[0].focus()", summary)
        self.press(Keys.ENTER)

    def focused(self) -> str:
        """Return the text, or the name, of what has the focus."""
        element = self.driver.switch_to.active_element
        return element.text.strip() or element.get_attribute("name") or element.tag_name

    def press(self, *keys: str) -> None:
        """Press keys, as somebody without a mouse does."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, name: str) -> None:
        """Go on with the tabulator to what has this text or name."""
        from selenium.webdriver.common.keys import Keys

        for _ in range(MOST_TABS):
            self.press(Keys.TAB)
            if self.focused() == name:
                return
        raise AssertionError(f"no tabulator leads to {name}")

    def click(self, text: str) -> None:
        """Press the link or button with this text."""
        self._named(text).click()

    def _named(self, text: str) -> WebElement:
        paths = (f"//button[normalize-space()={text!r}]", f"//a[normalize-space()={text!r}]")
        return self.driver.find_element("xpath", " | ".join(paths))

    def fill(self, name: str, text: str) -> None:
        """Type into the field of this name."""
        field = self.driver.find_element("name", name)
        field.clear()
        field.send_keys(text)

    def choose(self, name: str, file: Path) -> None:
        """Choose a file for the field of this name."""
        self.driver.find_element("name", name).send_keys(str(file))

    def offline(self, is_offline: bool) -> None:
        """Cut the browser off, or connect it again; streams that are open end."""
        network = {"offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", network)

    def source(self) -> str:
        """Return the page as it stands."""
        return self.driver.page_source

    def errors(self) -> list[str]:
        """Return what the browser refused or failed at since it was asked last, such as a script of a value."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def faults(self, name: str) -> list[Any]:
        """Return what keeps people from using the page: at both widths, each in other colours; keep pictures of it."""
        found = list[Any]()
        for width, dark in ((WIDE, False), (NARROW, True)):
            self.resize(width, dark=dark)
            self.driver.execute_script(_AXE)
            worst = self.driver.execute_async_script(_RUN_AXE)
            found += [(width, dark, *each) for each in worst if each[0] in {"serious", "critical", "moderate"}]
            found += [(width, *each) for each in self.run(_BADLY_SHOWN)]
            if (across := self.driver.execute_script("return document.documentElement.scrollWidth")) > width:
                found.append((width, f"is {across} wide"))
            if PICTURES:
                size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
                tall = {"width": width, "height": int(size["height"]), "deviceScaleFactor": 1, "mobile": False}
                self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", tall)
                self.driver.save_screenshot(f"{PICTURES}/{name}-{width}{'-dark' if dark else ''}.png")
        self.resize(WIDE)
        return found


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser that knows nothing of the machine."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    quiet = "no-first-run disable-background-networking disable-component-update disable-sync disable-quic disable-gpu"
    with tempfile.TemporaryDirectory(prefix="relabel-", ignore_cleanup_errors=True) as folder:
        for flag in ("headless", "no-sandbox", *quiet.split(), f"user-data-dir={Path(folder) / 'browser'}"):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as driver:
            driver.execute_cdp_cmd("Network.enable", {})
            yield driver


@pytest.fixture
def browser(chromium: webdriver.Chrome, served: Served) -> Iterator[Browser]:  # noqa: F811
    """The browser, signed in as nobody."""
    browser = Browser(chromium, served.url)
    browser.be("")
    browser.resize(WIDE)
    browser.errors()
    yield browser
    chromium.get("about:blank")  # its streams end


@pytest.fixture
def sign_in(
    browser: Browser,
    ledger: Ledger,  # noqa: F811
    new_token: Callable[..., Awaitable[str]],  # noqa: F811
) -> Callable[..., Awaitable[str]]:
    """Sign the browser in as somebody with these scopes; return the token."""

    async def sign_in(*scopes: Scope | str) -> str:
        token = await new_token(*scopes)
        await asyncio.to_thread(browser.be, await ledger.browser_sessions.begin(token))
        return token

    return sign_in


@pytest.fixture
def person(
    served: Served,  # noqa: F811
    ledger: Ledger,  # noqa: F811
    new_token: Callable[..., Awaitable[str]],  # noqa: F811
) -> Callable[..., Awaitable[httpx.AsyncClient]]:
    """Somebody who is signed in with these scopes, without a browser."""

    async def open_person(*scopes: Scope | str, owner: str = "ada") -> httpx.AsyncClient:
        token = await new_token(*scopes, name="-".join(["p", *scopes]), owner=owner)
        session = await ledger.browser_sessions.begin(token)
        options: dict[str, Any] = {"base_url": served.url, "timeout": LONGEST_S, "trust_env": False, "verify": False}
        options |= {"follow_redirects": True, "cookies": {SESSION_COOKIE: session}}
        return httpx.AsyncClient(**options, headers={"Origin": served.url, "Accept": "text/html"})

    return open_person
