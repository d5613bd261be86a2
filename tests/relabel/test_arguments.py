"""One name at all doors: what a verb takes, the method of Python takes by the same name in snake case."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import click
import pytest

import relabel
from cli.main import VERBS, cli
from relabel import aio, job_handle, sync, sync_job_handle
from relabel.arguments import file_options
from relabel.errors import InvalidInput
from web.selection_body import PlanOfSelection, Select

JOB, CLIENT = job_handle.Job, aio.Client
METHODS = {
    "submit": CLIENT.submit,
    "run": CLIENT.run,
    "plan": CLIENT.plan,
    "select": CLIENT.select,
    "jobs": CLIENT.jobs,
    "history": CLIENT.history,
    "watch": JOB.watch,
    "status": JOB.status,
    "report": JOB.report,
    "pause": JOB.pause,
    "resume": JOB.resume,
    "approve": JOB.approve,
    "cancel": JOB.cancel,
    "undo": JOB.undo,
    "retry": JOB.retry,
    "verify": JOB.verify,
    "apply": JOB.apply,
    "log": JOB.log,
    "receipt": JOB.receipt,
    "health": CLIENT.health,
    "probe": CLIENT.probe,
}
NOT_OF_PROGRAMS = {
    "rate": "rate(), set_rate() and reset_rate(), of the client and of a job",
    "nightly": "its own verbs are nightly_status(), nightly_next() and nightly_run()",
    "config": "shows what the environment sets; a program has given or read it itself",
    "metrics": "a process of its own, which a program that has one reads over HTTP",
    "sandbox": "a process of its own; tests of programs start it as one",
    "serve": "a process of its own",
    "token": "made by whoever may write to Redis on the command line, or over HTTP with the scope admin",
}
"""Verbs that no method is, and why."""
SHOWN = {"json", "help", "as_json"}
"""What is about the terminal: how something is printed."""
OTHERWISE = {
    "yes": "confirm",  # with the codes of the questions
    "only": "outcome",  # as HTTP calls it
    "n": "limit",
    "number": "limit",
    "no_undo": "undo",
}
LEFT_OUT = {
    "*": {"run", "no_wait", "wait"},  # wait() does; the client brings a worker where there is no Redis
    "run": {"sandbox", "resume", "check"},  # the stand-in is the command line's; Job.resume; submit(check=True)
    "plan": {"check", "from", "only"},  # submit(check=True); Job.plan
    "status": {"yes"},
    # plan() takes what is selected, and Job.apply makes it
    "select": {"plan", "yes", "strict", "rate", "max_failures", "priority", "name", "oldest_first", "check"}
    | {"apply", "canary", "max_changes"},
    "probe": {"yes"},  # who calls it means it
    "cancel": {"yes"},  # a job is named by its id
    "approve": {"yes"},
    "pause": {"yes"},
    "resume": {"yes"},
    "report": {"output", "stats", "summary", "o"},
    "receipt": {"output"},
}
MORE = {
    "submit": {"check"},
    "watch": {"timeout"},
    "report": {"path"},
    # plan() takes what is selected, and Job.apply
    "select": {"plan", "yes", "strict", "rate", "max_failures", "priority", "name", "oldest_first", "check"}
    | {"apply", "canary", "max_changes"},
}
"""Arguments that no option is, and why it is so is in the methods' docstrings."""


def options_of(verb: str) -> set[str]:
    """The options of a verb by their names in Python."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    found = set()
    for param in command.params:
        if isinstance(param, click.Option):
            name = max((each for each in param.opts if each.startswith("--")), key=len, default=param.opts[0])
            found.add(name.lstrip("-").replace("-", "_"))
    otherwise = {} if verb == "health" else OTHERWISE  # whose `only` names checks
    return {otherwise.get(name, name) for name in found - SHOWN - LEFT_OUT["*"] - LEFT_OUT.get(verb, set())}


def arguments_of(method: Any) -> set[str]:
    """The named arguments of a method, those of its `**options` too."""
    names = set()
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            [options] = get_args(get_type_hints(method, vars(inspect.getmodule(method)))[name])
            names |= set(get_type_hints(options, localns={"Completion": object}))
        elif name not in {"self", "rows", "reference", "completion_id"}:
            names.add(name)
    return names


def test_each_verb_is_a_method_or_it_is_said_why_not():
    """A new verb is entered above."""
    assert METHODS.keys() | NOT_OF_PROGRAMS.keys() == set(VERBS)


@pytest.mark.parametrize("verb", METHODS)
def test_a_method_takes_what_its_verb_takes(verb):
    """What is left out or more is listed above, with its reason."""
    assert arguments_of(METHODS[verb]) - MORE.get(verb, set()) == options_of(verb) - MORE.get(verb, set())


@pytest.mark.parametrize(("of_aio", "of_sync"), [(aio.Client, sync.Client), (job_handle.Job, sync_job_handle.Job)])
def test_both_clients_have_the_same_methods_with_the_same_arguments(of_aio, of_sync):
    """One is the other with a loop of its own."""

    def public(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
        return {
            name: [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()]
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    own = {"close", "aclose", "check_input", "submit_input", "run_input", "plan_input", "row_pages", "of"}
    there, here = public(of_aio), public(of_sync)
    assert there.keys() - own == here.keys() - own
    for name in here.keys() - own - {"watch"}:
        assert here[name] == there[name], name


def test_each_verb_on_nightly_runs_is_a_method_that_takes_the_same():
    """`nightly_status` for `nightly status`."""
    group = cli.get_command(click.Context(cli), "nightly")
    assert isinstance(group, click.Group)
    found = {f"nightly_{name}": {param.name for param in verb.params} - SHOWN for name, verb in group.commands.items()}

    assert {name: arguments_of(getattr(CLIENT, name)) for name in found} == found


def test_a_plan_of_a_selection_takes_what_select_and_plan_take():
    """In Python and over HTTP: what is selected and what it is to get, and what is about the plan."""
    of_python = arguments_of(CLIENT.plan_selection)
    of_select = arguments_of(CLIENT.select) - {"output"}

    assert of_python - of_select == {"rate", "max_failures", "priority", "name", "oldest_first"}
    assert of_select <= of_python
    assert of_python == (set(PlanOfSelection.model_fields) - {"select"}) | set(Select.model_fields)


def test_every_public_name_is_there_and_only_those():
    """`__all__` is what type checkers and `dir` see."""
    assert [name for name in relabel.__all__ if not hasattr(relabel, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        relabel.nothing  # noqa: B018 - the look-up is what is tested


def test_arguments_are_read_as_the_options_of_the_same_names():
    """Lists and mappings where the command line has text."""
    options = file_options(
        ("rows",), mode="replace", rate=600, max_failures="5%", columns={"quality": "Quality"}, null="NULL", undo=False
    )

    assert (str(options.mode), options.rate, options.max_failures, options.undo) == ("replace", 600, "5%", False)
    assert [tuple(column) for column in options.reading.columns] == [("quality", "Quality")]
    assert options.reading.null == {"NULL"}
    assert [column.key for column in file_options(("x",), columns=["a", "b"]).reading.columns] == ["a", "b"]
    with pytest.raises(InvalidInput, match="twice"):
        file_options(("x",), columns=["a", "a"])
    with pytest.raises(InvalidInput):
        file_options(("x",), delimiter="ab")
