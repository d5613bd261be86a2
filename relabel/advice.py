"""What to do about each known cause: of a row that failed, and of a job that is paused, held or lost."""

from __future__ import annotations

from config.checks import base_url_hint
from ledger.job import STATE_LOST_CODE, Job, JobState, remedy_of
from ledger.job_spec import Kind
from ledger.service_profile import Behaviour, Semantics
from relabel.wording import day_of

_PASSING = "This may pass: submit the failed rows again later."
_TOO_LONG = "A key holds at most 64 characters, a value 512: shorten it."
_TOO_MANY = "A completion holds at most 16 keys: remove some first (null in JSONL), or use --mode replace."

ROWS = {
    "not_found": "The API knows no such completion. Look at the id, that the key belongs to the same project, and "
    "that the completion was stored less than 30 days ago.",
    "key_not_removed": "The service keeps keys once they are set. Set the key to another value instead.",
    "value_altered": "The service stores something else than it is sent; it may trim, change case or drop empty "
    "values. Send the values as the service keeps them. `relabel undo` restores what was there before.",
    "metadata_not_shown": "The API answers 200 and does not show the metadata, so relabel cannot know what is "
    "stored: look at what stands between here and the API, then try these rows again.",
    "stale_read": "Reads lag behind updates, and the job that wrote last is gone from the ledger, so nothing was sent. "
    "Try these rows again in a few minutes.",
    "changed_since": "Somebody else changed these since. A plan of them (`relabel plan --from`) shows what the job's "
    "values would change now; an undo with --force restores them all the same.",
    "changed_by_job": "A later job changed these: `relabel history ID` shows from what to what, and who asked for it.",
    "changed_elsewhere": "Somebody else changed these since: look at what they hold, and submit the rows with "
    "--again if they are to be set all the same.",
    "not_applied": "The job left nothing here: its own report says why. `relabel retry` tries its failed rows again.",
    "gone": "These were deleted, or are older than 30 days; nothing can be changed in them any more.",
    "too_many_pairs": _TOO_MANY,
    "object_above_max_properties": _TOO_MANY,
    "string_above_max_length": _TOO_LONG,
    "property_name_above_max_length": _TOO_LONG,
    "invalid_type": "The API takes strings only: correct the value the message names.",
    "timeout": "The API did not answer in time, and a read did not find the change. " + _PASSING,
    "network": "The connection broke, and a read did not find the change. " + _PASSING,
    "dns": "Look at OPENAI_BASE_URL and the network, then submit the failed rows again.",
    "server_error": "The API had an error of its own. " + _PASSING,
    "bad_response": "The API answered something else than a completion; a proxy may stand in between. " + _PASSING,
    "reply_differs": "The API did not keep what was sent; somebody else may be changing the same completions. "
    + _PASSING,
    "invalid_id": "These ids were changed in Redis after they were checked: see who can write there.",
    "read_back_differs": "The API answered that it stored the change, and a read after the time in which updates show "
    "finds something else: look at one of these completions before the job goes on.",
    "worker_crash": "The worker died several times at these rows: look at its log and memory, then submit them again.",
}
"""By the code of the failure."""

PAUSES = {
    "invalid_api_key": "correct OPENAI_API_KEY",
    "key_unavailable": "correct the command or the file that gives the key",
    "insufficient_quota": "add credit or raise the limit at the provider",
    "credit_balance_exhausted": "add credit at the provider",
    "billing_hard_limit_reached": "raise the limit at the provider",
    "organization_spend_limit_exceeded": "raise the limit at the provider",
    "project_spend_limit_exceeded": "raise the limit at the provider",
    "organization_usage_limit_exceeded": "raise the limit at the provider",
    "tls": "look at the certificate and at OPENAI_BASE_URL",
    "canary_failed": "look at the causes with `relabel report JOB --summary`; if the change is wrong, cancel the job "
    "and undo it; if it is right",
    "too_many_failures": "look at the causes with `relabel report JOB --summary`",
    "same_failure": "look at the cause with `relabel report JOB --summary` (not_found: see that OPENAI_API_KEY is "
    "of the project that these ids are from)",
}
"""By the reason code of a paused job."""
URL_CODES = frozenset({"unknown_url", "redirect", "other_target"})
"""Reason codes of a job that may carry the wrong URL, which no resuming mends."""
BY_API = (frozenset(PAUSES) | URL_CODES) - {"canary_failed", "too_many_failures", "same_failure"}
"""Reason codes of a job that its API, its key or its URL paused: another job for the same URL would pause as well."""


def about_rows(code: str, status: int, behaviour: Behaviour | None = None) -> str:
    """Return what to do about rows that failed with this code and HTTP status (0: no answer).

    `behaviour` is what a probe found out about the service, None where nobody probed it.
    """
    if code == "key_not_removed" and behaviour is not None:
        return _about_kept_keys(behaviour)
    if code in ROWS:
        return ROWS[code]
    if status >= 500 or status in {0, 408, 409, 429}:
        return _PASSING
    return "The API refuses these rows: correct what the message names, then submit them again."


def _about_kept_keys(behaviour: Behaviour) -> str:
    probed = f"By the probe of {day_of(behaviour.at)}, this service"
    if behaviour.semantics is Semantics.REPLACES:
        return f"{probed} removes a key that is left out, so somebody else may set it anew: try these rows again."
    if behaviour.null_is_needed:
        return (
            f"{probed} removes a key with null, which jobs send since: try these rows again with "
            "`relabel retry --codes key_not_removed`."
        )
    return f"{probed} merges, so a key that is left out stays. Set the key to another value instead."


def next_step(job: Job) -> str:
    """Return what gets a job going again that nothing is happening to; '' for others."""
    job_id = job.spec.job_id
    if job.state is JobState.LOST or job.reason_code == STATE_LOST_CODE:
        remedy = remedy_of(job.spec)
        return f"{remedy[0].upper()}{remedy[1:]}."
    if job.state is JobState.HELD:
        return _about_held(job)
    if job.state is not JobState.PAUSED or "--resume" in (job.reason or ""):
        return ""
    if job.reason_code in URL_CODES:
        return _about_its_url(job)
    first = PAUSES.get(job.reason_code or "", "").replace("JOB", job_id)
    again = (
        f", which does not stop for this again; {_failed_rows_again(job)}" if job.reason_code == "same_failure" else ""
    )
    then = f"go on with `relabel resume {job_id}`, or without deployed workers `relabel run --resume {job_id}`{again}."
    text = f"{first}, then {then}" if first else then
    return text[0].upper() + text[1:]


def _about_held(job: Job) -> str:
    job_id = job.spec.job_id
    if job.waits_for_approval:
        return f"`relabel approve {job_id}` approves it, `relabel cancel {job_id}` refuses it."
    then = "; somebody else has to approve it, too" if job.lacks_approval else ""
    if job.waits_for_confirmation:
        confirms = f"`relabel resume {job_id}` {'confirms' if then else 'applies'} it"
        return f"If the file is right all the same, {confirms}{then}; else `relabel cancel {job_id}`."
    return f"Start it with `relabel resume {job_id}`{then}."


def _failed_rows_again(job: Job) -> str:
    """Return what takes the failed rows of a job up once more after its end."""
    spec = job.spec
    if spec.kind is Kind.PLAN:
        return f"`relabel plan --from {spec.job_id} --only failed` then plans the failed rows once more"
    if spec.kind is Kind.VERIFY:
        return f"`relabel verify {spec.parent}` then reads all rows once more"
    return f"`relabel retry {spec.job_id} --all` then tries the failed rows once more"


def _about_its_url(job: Job) -> str:
    job_id, target = job.spec.job_id, job.spec.target
    mended = "with workers that have it as OPENAI_BASE_URL " if job.reason_code == "other_target" else ""
    return (
        f"This job is for {target}{base_url_hint(target)}. If that is wrong, correct OPENAI_BASE_URL, submit the rows "
        f"again and `relabel cancel {job_id}`, as a job keeps its URL. If it is right, go on {mended}by "
        f"`relabel resume {job_id}`, or without deployed workers `relabel run --resume {job_id}`."
    )
