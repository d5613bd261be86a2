"""What completions are to get: templates, defaults, splits, keys to edit; and what is refused at once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter

import pytest

from selection.completion import Completion
from selection.errors import BadSelection, LeftOut
from selection.labels import read_labels
from selection.options import LabelOptions
from selection.shares import SampleEnd, parse_sample

NOON = 1_795_003_200
HELD = {"team": "search", "note": "x" * 510, "a{b": "braces", "kept": ""}


def completion(number=0, metadata=None):
    return Completion(f"chatcmpl-{number:029d}", NOON, "gpt-4o", HELD if metadata is None else metadata)


def patch(metadata=None, **options):
    return read_labels(LabelOptions(**options)).patch_of(completion(metadata=metadata))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("eval-2026", "eval-2026"),
        ("a=b", "a=b"),
        ("", ""),
        ("{metadata.team}-{model}", "search-gpt-4o"),
        ("{id}", f"chatcmpl-{0:029d}"),
        ("{created}", "2026-11-18T12:00:00Z"),
        ('{metadata["team"]}', "search"),
        ('{metadata["a{b"]}', "braces"),
        ("{{literal}}", "{literal}"),
        ("<{metadata.kept}>", "<>"),
        ("{metadata.note}ab", "x" * 510 + "ab"),
    ],
)
def test_a_template_puts_in_what_the_completion_has(template, value):
    """Braces are doubled to be themselves; a key in quotes may have any characters."""
    assert patch(set=(f"bucket={template}",)) == {"bucket": value}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"set": ("bucket={metadata.none}",)}, "metadata.none missing"),
        ({"set": ("bucket={metadata.note}abc",)}, "bucket over 512 characters"),
        ({"set_default": ("bucket={metadata.none}",)}, "metadata.none missing"),
        ({"split": "part=a:50,b:50", "split_by": "metadata.session"}, "metadata.session missing"),
    ],
)
def test_a_completion_that_lacks_what_is_asked_for_is_left_out(options, reason):
    """The reason names the key, and no value."""
    with pytest.raises(LeftOut) as caught:
        patch(**options)

    assert caught.value.reason == reason


def test_a_present_value_that_no_file_can_hold_leaves_its_completion_out():
    """Rather than a row that would be rejected."""
    for value, reason in (("y" * 513, "team over 512 characters"), ("a\0b", "team with a NUL character")):
        with pytest.raises(LeftOut) as caught:
            patch({"team": value}, keys=("team",))
        assert caught.value.reason == reason


def test_each_option_contributes_its_keys():
    """A default only where the key is absent; a key to edit only where it is there."""
    assert patch(
        set=("a=1",), set_default=("team=docs", "b=2"), unset=("old",), keys=("note", "quality"), split="part=x:100"
    ) == {"note": HELD["note"], "a": "1", "b": "2", "part": "x", "old": None}


def test_a_default_is_not_composed_where_the_key_is_there():
    """So that nothing is missing then."""
    assert patch(set_default=("team={metadata.none}",)) == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"set": ("team",)}, "KEY=VALUE"),
        ({"set": ("=x",)}, "KEY=VALUE"),
        ({"set": ("k={metadata.team",)}, "column 1: a { stands alone"),
        ({"set": ("k=ab}",)}, "column 3: a } stands alone"),
        ({"set": ("k=ab{team}",)}, "column 4: unknown name 'team'"),
        ({"set": ("k={}",)}, "column 2: it is empty"),
        ({"set": (f"k={'x' * 513}",)}, "over 512"),
        ({"set": (f"{'k' * 65}=x",)}, "65 characters"),
        ({"set": ("k=1", "k=2")}, "--set twice"),
        ({"set": ("k=1",), "unset": ("k",)}, "--set and --unset"),
        ({"set": ("k=1",), "set_default": ("k=1",)}, "--set and --set-default"),
        ({"keys": ("k",), "split": "k=a:100"}, "--keys and --split"),
        ({"unset": ("",)}, "empty"),
        ({"set": tuple(f"k{n}=x" for n in range(17))}, "17 pairs"),
        ({"split": "part"}, "no split"),
        ({"split": "part=a:x"}, "no split"),
        ({"split": "part=a:50,a:50"}, "names a value twice"),
        ({"split": "part=a:80,b:10"}, "add up to 90 percent"),
        ({"split": ""}, "'' is no split"),
        ({"split": "part=a:100", "split_by": ""}, "--split-by, column 1: it is empty"),
        ({"split_by": "model"}, "--split-by goes with --split"),
        ({"split": "part=a:100", "split_by": "created"}, "created is a time"),
        ({"split": "part=a:100", "split_by": "team"}, "metadata.team"),
    ],
)
def test_labels_that_make_no_sense_are_refused(options, said):
    """With what to write instead."""
    with pytest.raises(BadSelection) as caught:
        read_labels(LabelOptions(**options))

    assert said in str(caught.value)


def test_a_split_is_the_documented_hash():
    """The first 8 bytes of SHA-256 of the key, NUL and the id: anybody can compute it, whatever the process's seed."""
    labels = read_labels(LabelOptions(split="dataset=train:80,test:20"))
    for number in range(200):
        one = completion(number)
        digest = hashlib.sha256(b"dataset\0" + one.id.encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64
        assert labels.patch_of(one) == {"dataset": "train" if place < 0.8 else "test"}


def test_shares_come_out_about_as_asked():
    """Of 10,000 completions; another key divides them another way."""
    first = read_labels(LabelOptions(split="dataset=train:79.5,dev:0.5,test:20"))
    second = read_labels(LabelOptions(split="arm=train:79.5,dev:0.5,test:20"))
    values = [(first.patch_of(completion(n))["dataset"], second.patch_of(completion(n))["arm"]) for n in range(10_000)]
    counts = Counter(value for value, _ in values)

    assert abs(counts["train"] - 7_950) < 200
    assert 20 <= counts["dev"] <= 90
    assert abs(sum(one == "test" and other == "test" for one, other in values) - 400) < 120


def test_related_completions_stay_together():
    """Those of one session have one value."""
    labels = read_labels(LabelOptions(split="part=a:50,b:50", split_by="metadata.session"))
    value_of = {}
    for number in range(1000):
        session = f"s{number % 50}"
        value = labels.patch_of(completion(number, {"session": session}))["part"]
        assert value_of.setdefault(session, value) == value

    assert set(value_of.values()) == {"a", "b"}


def chosen(text, seed, ids):
    sample = parse_sample(text, seed)
    end = SampleEnd(sample)
    for each in ids:
        end.add(each)
    return {each for each in ids if sample.point_of(each) < end.end()}


IDS = [completion(number).id for number in range(10_000)]


def test_a_sample_has_its_size_whatever_the_order():
    """And another seed another one; a larger one holds the smaller."""
    assert len(chosen("300", 0, IDS)) == 300
    assert chosen("300", 0, IDS) == chosen("300", 0, IDS[::-1])
    assert len(chosen("300", 0, IDS) & chosen("300", 1, IDS)) < 50
    assert chosen("300", 0, IDS) < chosen("500", 0, IDS)
    assert chosen("20000", 0, IDS) == set(IDS)
    assert chosen("5", 0, []) == set()


def test_a_share_is_about_that_and_is_the_same_for_each_completion():
    """Whichever others there are."""
    assert 60 <= len(chosen("1%", 0, IDS)) <= 140
    assert chosen("1%", 0, IDS[:500]) == chosen("1%", 0, IDS) & set(IDS[:500])
    assert chosen("100%", 0, IDS) == set(IDS)


@pytest.mark.whole
def test_a_sample_is_the_same_in_another_process():
    """Python's own hashes are not."""
    code = "import tests.selection.test_labels as t; print(*sorted(t.chosen('5', 7, t.IDS)))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert set(other.stdout.split()) == chosen("5", 7, IDS)


@pytest.mark.parametrize("text", ["0", "0%", "101%", "-5", "x", "1.5", "", "%", "5%%", "1e3"])
def test_a_sample_that_is_none_is_refused(text):
    """With what one looks like."""
    with pytest.raises(BadSelection, match="300"):
        parse_sample(text, 0)
