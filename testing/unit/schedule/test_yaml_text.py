"""YAML that means just what it says."""

import builtins

import pytest

from hookline.model.errors import BadConfig, BadData
from hookline.schedule.yaml_text import decode


def test_plain_values_are_read():
    text = b"a: [1, 2.5, true, null, text]\nb: {c: 'd e'}\n"
    assert decode(text) == {"a": [1, 2.5, True, None, "text"], "b": {"c": "d e"}}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a: &x [1]\nb: *x\n", "an alias in line 2"),
        (b"a: 1\nb: 2\na: 3\n", "'a' is there twice, again in line 3"),
        (b"x: {a: 1, a: 2}", "'a' is there twice"),
        (b"? [1]\n: 2", "a key that is no text in line 1"),
        (b"a: !!python/object/apply:os.system [id]", "it is no YAML"),
        (b"a: b: c", "it is no YAML"),
        (b"a: 1\n---\nb: 2", "it is no YAML"),
        (b"[" * 5000, "it is no YAML"),
        (b"a: \x07", "it is no YAML"),
    ],
)
def test_what_means_more_than_it_says_is_refused(text, told):
    with pytest.raises(BadData, match=told):
        decode(text)


def test_a_kilobyte_does_not_become_gigabytes():
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    with pytest.raises(BadData, match="alias"):
        decode("\n".join(lines).encode())


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    find = builtins.__import__

    def without(name, *rest):
        if name == "yaml":
            raise ImportError(name)
        return find(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadConfig, match=r"pip install 'hookline\[layers\]', or .* TOML"):
        decode(b"a: 1")
