"""The table of the daemons as bash reads it, held against what Python reads there."""

import random
import subprocess
from pathlib import Path

import msgspec
import pytest

from hookline.app.config import load_daemons
from hookline.model.errors import BadConfig

CHECKOUT = Path(__file__).resolve().parents[2]
LIBRARY = CHECKOUT / "scripts/wizards/lib/daemon-table.sh"
KEYS = ("label", "about", "script", "start", "run", "replaces", "alive_for")
# Prints of each file what was read, and at last what was said on stderr; NUL ends a field.
READ = f"""
source '{LIBRARY}'
for file; do
  daemon_names=()
  said=$(daemon_table "$file" 2>&1) && daemon_table "$file"
  printf '%s\\0' "$?" "$said"
  for name in "${{daemon_names[@]}}"; do
    printf '%s\\0' "$name"
    for key in {" ".join(KEYS)}; do printf '%s\\0' "${{daemon_of["$name.$key"]-}}"; done
  done
  printf '\\1\\0'
done
"""
LINES = (
    "[daemon.one]", "[daemon.two-2]  # a comment", " [daemon.x_y] ", "[daemon.Big]", "[daemon.]",
    "[[daemon.one]]", "[daemon.'q']", "[daemon]", "[other]", "daemon.one.script = 'x'", "",
    "# nothing", "   \t", 'script = "scripts/x.sh"', "script = 'scripts/x.sh'", 'script="a/b"',
    '\tscript\t=\t"a"\t# why', 'script = "/x"', 'script = "../x"', 'script = "a/../b"',
    'script = "."', 'script = ""', 'script = "./."', 'script = "..."', "script = 7",
    'script = """x"""', 'label = "The \\u00e9 One"', 'label = "tab\there"', 'label = "é # no, yes"',
    'label = "unended', 'label = "a" "b"', 'label = "a" junk', 'label = ["a"]', 'label = "a\\"b"',
    "label =", 'label "x"', 'about = "$(touch x) `y` * ?"', 'about = "\\\\"', 'start = "event"',
    'start = "direct"', 'start = "Event"', 'run = "always"', 'run = "asked"', 'run = "never"',
    'replaces = []', 'replaces = ["a.sh"]', 'replaces = [ "a" , "b,c", "d" ] # three',
    'replaces = ["a",]', 'replaces = ["a",,]', 'replaces = [,]', 'replaces = "a"', "replaces = [1]",
    'replaces = ["a"', '"a"]', 'alive_for = "5s"', 'alive_for = "1.5m"', 'alive_for = "soon"',
    'alive_for = ""', 'unknown = "x"', '"script" = "x"', 'script = "x"\r', "\r",
)  # fmt: skip


def read(paths):
    """What bash makes of each file: its exit, what it said, and the daemons."""
    done = subprocess.run(
        ["bash", "-c", READ, "bash", *map(str, paths)], capture_output=True, text=True, check=True
    )
    for part in done.stdout.split("\1\0")[:-1]:
        status, said, *fields = part.split("\0")[:-1]
        size = len(KEYS) + 1
        rows = [fields[n : n + size] for n in range(0, len(fields), size)]
        yield int(status), said, {row[0]: dict(zip(KEYS, row[1:], strict=True)) for row in rows}


def as_bash(name, daemon):
    """The texts that bash should have of it."""
    told = {**msgspec.structs.asdict(daemon), "replaces": "\n".join(daemon.replaces)}
    return {key: told[key] or (name if key == "label" else "") for key in KEYS}


def judged(home, text):
    (home.config / "daemons.toml").write_bytes(text.encode())
    try:
        return {name: as_bash(name, each) for name, each in load_daemons(home).items()}
    except BadConfig:
        return None


def test_what_bash_understands_python_does_and_says_the_same_of_it(home, tmp_path, chance):
    texts = [(CHECKOUT / "coordination/config/daemons.toml").read_text()]
    texts += [f'[daemon.one]\nscript = "a"\n{line}' for line in LINES]
    texts += ["\n".join(drawn(chance)) for _ in range(200)]
    paths = []
    for n, text in enumerate(texts):
        paths.append(tmp_path / f"{n}.toml")
        paths[-1].write_bytes(text.encode())
    understood = 0
    for text, (status, said, daemons) in zip(texts, read(paths), strict=True):
        wanted = judged(home, text)
        if status == 0:
            assert daemons == wanted, text
            understood += 1
        else:
            assert (status, daemons) == (78, {}), text
            assert said.startswith("ERROR: "), text
            assert wanted is None or ".toml: line " in said, (text, said)
    assert understood > 30


def drawn(chance: random.Random) -> list[str]:
    """A few daemons that are mostly whole, with one line more or less."""
    lines = []
    for name in chance.sample(["one", "two-2", "x_y"], chance.randrange(1, 4)):
        lines += [f"[daemon.{name}]", 'script = "scripts/x.sh"']
        lines += chance.sample(LINES, chance.choice((0, 0, 1, 1, 2)))
    return lines


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[daemon.a]\nscript = "a"\nlable = "x"\n', "line 3: lable is not known"),
        ('[daemon.a]\nscript = "a"\n[daemon.a]\n', "line 3: a second daemon.a"),
        ('[daemon.a]\nlabel = "x"\nlabel = "y"\n', "line 3: a second label"),
        ('[daemon.a]\nlabel = "x"\n', "daemon.a has no script"),
        ('label = "x"\n', "line 1: label comes before the first [daemon.NAME]"),
        ('[daemon.a]\nscript = "/bin/sh"\n', "line 2: script is the path of a program in the home"),
        ('[daemon.a]\nreplaces = "x"\n', "line 2: replaces takes a list of texts"),
        ('[daemon.a]\nscript = """\n', "line 2: it is not understood"),
        ('[daemon.a]\nscript = "a"\n# caf\xe9\n', "line 3: it is not UTF-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, why):
    path = tmp_path / "daemons.toml"
    path.write_bytes(text.encode("latin-1"))
    ((status, said, _),) = read([path])
    assert status == 78
    assert f"{path}: {why}" in said
