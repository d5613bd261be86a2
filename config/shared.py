"""The settings that all workers, and beat, must have alike."""

from __future__ import annotations

from config.settings import PREFIX, Settings

NIGHTLY = (f"{PREFIX}NIGHTLY__CRON", f"{PREFIX}NIGHTLY__TIME_ZONE")
"""Those that workers without the inbox need not have."""


def shared_settings(settings: Settings) -> dict[str, str]:
    """Return them by the name of the variable, without those that are not set; none of them is secret."""
    nightly = settings.nightly
    given = {
        "OPENAI_ORG_ID": settings.openai_org_id,
        "OPENAI_PROJECT_ID": settings.openai_project_id,
        f"{PREFIX}RATE__NAME": settings.rate.name,
        f"{PREFIX}RATE__PER_MINUTE": f"{settings.rate.per_minute:g}",
        f"{PREFIX}RATE__BURST": settings.rate.burst,
        f"{PREFIX}API__VERSION": settings.api.version,
        NIGHTLY[0]: nightly.cron,
        NIGHTLY[1]: nightly.time_zone if nightly.cron else None,
    }
    return {name: str(value) for name, value in given.items() if value is not None}
