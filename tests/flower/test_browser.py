"""Flower in a browser, as an operator sees it: headless Chromium on a job that is under way."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.flower.scene import PASSWORD, SHARDS, USER, Scene

if TYPE_CHECKING:
    from selenium import webdriver

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
LONGEST_S = 60
SCREENSHOT = os.environ.get("FLOWER_SCREENSHOT", "")
"""File for a picture of the page of tasks, as in docs/."""

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="no browser: apt-get install chromium chromium-driver brings one"
)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """A browser that knows the password, and nothing of the machine."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    quiet = "no-first-run disable-background-networking disable-component-update disable-sync disable-quic disable-gpu"
    for flag in ("headless", "no-sandbox", *quiet.split(), f"user-data-dir={tmp_path / 'browser'}"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1480,800")
    with webdriver.Chrome(options, webdriver.ChromeService(DRIVER)) as driver:
        word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        driver.execute_cdp_cmd("Network.enable", {})
        driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"Authorization": f"Basic {word}"}})
        yield driver


@pytest.mark.promise
async def test_an_operator_sees_the_worker_and_the_shards_of_the_job(scene: Scene, browser: webdriver.Chrome) -> None:
    """The pages of workers, of tasks and of one task, once their scripts have filled them; and no row on any."""
    async with httpx.AsyncClient(base_url=scene.url, auth=(USER, PASSWORD), timeout=30) as client:
        known = await scene.tasks(client, "SUCCESS", "STARTED", least=SHARDS // 2)

    workers = await asyncio.to_thread(page, browser, f"{scene.url}/workers", scene.worker)
    tasks = await asyncio.to_thread(page, browser, f"{scene.url}/tasks", f"job {scene.job_id}, shard ")
    if SCREENSHOT:
        browser.save_screenshot(SCREENSHOT)
    one = next(iter(known))
    task = await asyncio.to_thread(page, browser, f"{scene.url}/task/{one}", one)

    assert "Online" in workers
    shards = {int(number) for number in re.findall(rf"\b{scene.job_id}, shard (\d+)", tasks)}
    assert len(shards) > 1
    assert shards <= set(range(SHARDS))
    assert known[one]["args"] in task
    assert scene.worker in task
    for seen in (workers, tasks, task, browser.page_source):
        assert [secret for secret in scene.secrets if secret in seen] == []


def page(browser: webdriver.Chrome, url: str, words: str) -> str:
    """Go to a page and wait until it shows the words; return all that it shows."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.wait import WebDriverWait

    browser.get(url)

    def shown(browser: webdriver.Chrome) -> str:
        text = browser.find_element(By.TAG_NAME, "body").text
        return text if words in text else ""

    return WebDriverWait(browser, LONGEST_S).until(shown, f"{url} shows {words!r}: {browser.page_source[:3000]}")
