"""`relabel config`: what is set, and nothing that is secret."""

from __future__ import annotations

import json

import pytest

from relabel.configuration import hide_password

CANARY = "canary-7f3a"


async def test_settings_are_shown_with_their_source_and_without_secrets(relabel, tmp_path):
    """Keys and passwords stay hidden in the table and in the JSON."""
    (tmp_path / ".env").write_text("RELABEL_JOB__SHARD_ROWS=77\n")
    settings = {
        "OPENAI_API_KEY": f"sk-{CANARY}",
        "RELABEL_REDIS__URL": f"rediss://user:{CANARY}@redis.example:6380/2?db=3",
        "RELABEL_BROKER_URL": f"amqp://guest:{CANARY}@broker.example//",
    }

    table = await relabel("config", **settings)
    facts = json.loads((await relabel("config", "--json", **settings)).out)

    assert CANARY not in table.out + table.err + json.dumps(facts)
    assert facts["OPENAI_API_KEY"]["value"] == "(set)"
    assert facts["RELABEL_REDIS__URL"]["value"] == "rediss://***@redis.example:6380/2?db=3"
    assert (facts["RELABEL_JOB__SHARD_ROWS"]["value"], facts["RELABEL_JOB__SHARD_ROWS"]["source"]) == (77, "set")
    assert (facts["RELABEL_RATE__PER_MINUTE"]["value"], facts["RELABEL_RATE__PER_MINUTE"]["source"]) == (
        600.0,
        "default",
    )
    assert "OPENAI_ORG_ID" in table.out
    assert facts["RELABEL_BROKER_URL"]["value"] == "amqp://***@broker.example//"
    assert "@broker.example//" in table.out


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:pa/ss{CANARY}@host:6379/0",
        f"redis://:pa#{CANARY}@host",
        f"redis://user:123?{CANARY}@host",
        f"redis://u:1@{CANARY}@host",
        f"sentinel://:{CANARY}@one;sentinel://:{CANARY}@two",
        f"redis://host/0?password={CANARY}",
        f"redis://host/0#{CANARY}",
        f"unix://user:{CANARY}@/run/redis.sock",
        CANARY,
        "redis://[broken",
    ],
)
def test_no_url_however_odd_shows_a_password(url):
    """Where it is not sure which part is the password, nothing is shown."""
    assert CANARY not in hide_password(url)


def test_a_plain_url_is_shown_as_it_is():
    """There is nothing to hide."""
    assert hide_password("unix:///run/a.sock?db=0") == "unix:///run/a.sock?db=0"
    assert hide_password("redis://[::1]:6379/0") == "redis://[::1]:6379/0"
