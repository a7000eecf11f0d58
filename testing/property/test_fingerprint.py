"""The same fault has the same fingerprint, whatever ids, times, numbers and paths it names."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.dispatch.fingerprint import LENGTH, fingerprint, normalised

WORDS = st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(
    lambda word: not word.startswith("tmp")
)
NUMBER = st.one_of(st.integers(0, 10**30).map(str), st.floats(0, 1e9).map("{:.6f}".format))
QUOTED = st.text(string.ascii_letters + string.digits + " -/.", max_size=20)
VARIABLE = {
    "number": NUMBER,
    "uuid": st.uuids().map(str),
    "address": st.integers(0, 2**64).map(hex),
    "digest": st.binary(min_size=20, max_size=20).map(bytes.hex).filter(
        lambda text: any(c.isdigit() for c in text)
    ),
    "time": st.datetimes().map(lambda moment: moment.isoformat(timespec="microseconds") + "Z"),
    "clock": st.times().map(lambda moment: moment.isoformat(timespec="seconds")),
    "single": QUOTED.map("'{}'".format),
    "double": QUOTED.map('"{}"'.format),
    "temporary": st.text(string.ascii_letters, min_size=4, max_size=12).map("/tmp/x{}/a".format),
}  # fmt: skip


@given(st.data(), st.sampled_from(sorted(VARIABLE)), st.lists(WORDS, max_size=3), WORDS)
def test_what_varies_does_not_count(data, kind, before, behind):
    def message():
        return " ".join([*before, data.draw(VARIABLE[kind]), behind])

    assert normalised(message()) == normalised(message())


@given(st.lists(WORDS, min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=6))
def test_other_words_are_another_fault(one, other):
    same = fingerprint("h", "failed", 1, None, " ".join(one)) == fingerprint(
        "h", "failed", 1, None, " ".join(other)
    )
    assert same == (one == other)


@given(st.text())
def test_any_text_is_normalised_once_and_for_all(text):
    once = normalised(text)
    assert normalised(once) == once
    assert not any(char in string.digits for char in once)
    assert "\n" not in once


@given(st.text(), st.text(), st.one_of(st.none(), st.integers(0, 255)), st.text())
def test_a_fingerprint_is_short_and_hexadecimal(handler, verdict, exit, error):
    made = fingerprint(handler, verdict, exit, None, error)
    assert len(made) == LENGTH
    assert set(made) <= set(string.hexdigits)


def test_who_failed_and_how_counts():
    faults = [
        ("h", "failed", 1, None, "no"),
        ("g", "failed", 1, None, "no"),
        ("h", "timeout", 1, None, "no"),
        ("h", "failed", 2, None, "no"),
        ("h", "failed", None, 9, "no"),
        ("h", "failed", 1, None, "yes"),
    ]
    assert len({fingerprint(*fault) for fault in faults}) == len(faults)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("KeyError: 'worker-17'", "KeyError: <text>"),
        ("can't open it, isn't there", "can't open it, isn't there"),
        ("jq: 3:17 of /tmp/tmp.Zx81k/in.json", "jq: <n>:<n> of /tmp/<tmp>/in.json"),
        ("first\nlast one\n\n", "last one"),
        ("\x1b[31mred\x1b[0m  alert", "red alert"),
        ("on-a.sh: line 12: foo: command not found", "on-a.sh: line <n>: foo: command not found"),
        ("deadbeef cafe face0ff1", "deadbeef cafe <n>"),
        ("", ""),
    ],
)  # fmt: skip
def test_messages_as_they_come(text, masked):
    assert normalised(text) == masked
