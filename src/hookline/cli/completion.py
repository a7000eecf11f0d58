"""`hookline completion`: what completes its arguments in a shell, made of what the commands take.

The text is for a file that the shell reads at its start: no process is begun for a TAB but a `sed`
or an `ls` where names of the home are wanted.
"""

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hookline.cli.catalog import Entry

_NAMES: Final = {
    "daemon": "daemons",
    "emit": "types",
    "explain": "types",
    "handlers": "handlers",
    "log": "types",
    "reflect": "layers",
    "replay": "handlers",
    "schedule": "schedules",
    "try": "handlers",
}
"""Of what the home has names for a command's arguments."""
_NAMES_FUNCTION: Final = """\
__hookline_names() { # <daemons|handlers|layers|schedules|types>: names in the home, a line each
  local home=${HOOKLINE_HOME:-${CORTEX_HOME:-$PWD}}
  while [ ! -d "$home/coordination" ] && [ -n "$home" ]; do home=${home%/*}; done
  local name='\\([a-z0-9_-]*\\)'
  case $1 in
    daemons | schedules)
      sed -n "s/^\\[${1%s}\\.$name\\].*/\\1/p" "$home/coordination/config/$1.toml" ;;
    handlers) ls "$home/scripts/events/handlers" ;;
    layers) ls "$home/coordination/layers" | sed 's/\\.[a-z]*$//' ;;
    types)
      ls "$home/coordination/schemas" | sed 's/\\.json$//'
      find "$home/scripts/events/handlers" -name 'on-*' -exec cat {} + |
        sed -n '/[*]/d; s/^# on: *//p' | tr ' ' '\\n' ;;
  esac 2>/dev/null
}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Print the script that completes the arguments of hookline in a shell. bash: put it into "
        "~/.local/share/bash-completion/completions/hookline; zsh: into a file _hookline in a "
        "folder of $fpath; fish: into ~/.config/fish/completions/hookline.fish."
    )
    parser.add_argument("shell", choices=list(_SCRIPTS))


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from hookline.cli.catalog import entries

    print(_SCRIPTS[args.shell](list(entries())), end="")
    return 0


def _bash(commands: "list[Entry]") -> str:
    cases = "".join(
        f"    {_quoted(entry.name)})\n      words={_quoted(' '.join(_words(entry, commands)))}\n"
        f"      names={_NAMES.get(entry.name, '')}\n{_values(entry)}      ;;\n"
        for entry in commands
    )
    top = " ".join(entry.name for entry in commands if " " not in entry.name)
    return f"""\
# Completes the arguments of hookline in bash: made by `hookline completion bash`.
{_NAMES_FUNCTION}
_hookline() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]-}} words='' names='' before
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W {_quoted(top + " --version --help")} -- "$current")
    return
  fi
  before=${{COMP_WORDS[COMP_CWORD - 1]}}
  case "$command ${{COMP_WORDS[2]-}}" in
    {" | ".join(_quoted(entry.name) for entry in commands if " " in entry.name)})
      ((COMP_CWORD == 2)) || command="$command ${{COMP_WORDS[2]}}" ;;
  esac
  case $command in
{cases}  esac
  [[ $current == -* || -z $names ]] || words="$words $(__hookline_names "$names")"
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _hookline hookline
"""


def _values(entry: "Entry") -> str:
    """What may stand behind an option that takes one of a few words."""
    told = "".join(
        f"        {' | '.join(action.option_strings)}) "
        f"words={_quoted(' '.join(map(str, action.choices)))} names= ;;\n"
        for action in entry.options
        if action.choices
    )
    return f"      case $before in\n{told}      esac\n" if told else ""


def _zsh(commands: "list[Entry]") -> str:
    from hookline.cli.catalog import help_of

    def described(pairs: Iterable[tuple[str, str]]) -> str:
        told = (f"{name}:{text}".replace(":", r"\:").replace(r"\:", ":", 1) for name, text in pairs)
        return "".join(f"\n        {_quoted(each)}" for each in told)

    cases = ""
    for entry in commands:
        options = [
            (option, help_of(entry, action))
            for action in entry.options
            for option in action.option_strings
        ]
        choices = [(each, "") for each in _choices(entry, commands)]
        cases += (
            f"    {_quoted(entry.name)})\n      told=({described([*choices, *options])}\n      )\n"
        )
        cases += f"      names={_NAMES.get(entry.name, '')}\n      ;;\n"
    top = described((entry.name, entry.summary) for entry in commands if " " not in entry.name)
    return f"""\
#compdef hookline
# Completes the arguments of hookline in zsh: made by `hookline completion zsh`.
{_NAMES_FUNCTION}
_hookline() {{
  local command=$words[2] names=
  local -a told
  if ((CURRENT == 2)); then
    told=({top}
    )
    _describe command told
    return
  fi
  case "$command $words[3]" in
    {" | ".join(_quoted(entry.name) for entry in commands if " " in entry.name)})
      ((CURRENT == 3)) || command="$command $words[3]" ;;
  esac
  case $command in
{cases}  esac
  _describe argument told
  [[ -z $names ]] || compadd -- ${{(f)"$(__hookline_names $names)"}}
  _files
}}
_hookline "$@"
"""


def _fish(commands: "list[Entry]") -> str:
    from hookline.cli.catalog import help_of

    names = _NAMES_FUNCTION + '__hookline_names "$1"'
    lines = [
        "# Completes the arguments of hookline in fish: made by `hookline completion fish`.",
        "function __hookline_names",
        f"  sh -c {_fished(names)} sh $argv",
        "end",
    ]
    for entry in commands:
        first, _, second = entry.name.partition(" ")
        seen = "__fish_use_subcommand"
        told = f"-a {second or first} -d {_fished(entry.summary)}"
        if second:
            seen = f"__fish_seen_subcommand_from {first}"
        lines.append(f"complete -c hookline -n {_fished(seen)} {told}")
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in entry.name.split())
        words = _choices(entry, [])
        if entry.name in _NAMES:
            words.append(f"(__hookline_names {_NAMES[entry.name]})")
        lines += [f"complete -c hookline -n {_fished(seen)} -a {_fished(word)}" for word in words]
        for action in entry.options:
            names = " ".join(
                f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                for option in action.option_strings
            )
            value = "" if action.nargs == 0 else " -r"
            among = f" -a {_fished(' '.join(map(str, action.choices)))}" if action.choices else ""
            lines.append(
                f"complete -c hookline -n {_fished(seen)} {names}{value}{among}"
                f" -d {_fished(help_of(entry, action))}"
            )
    return "\n".join(lines) + "\n"


def _words(entry: "Entry", commands: "list[Entry]") -> list[str]:
    options = [option for action in entry.options for option in action.option_strings]
    return [*_choices(entry, commands), *options]


def _choices(entry: "Entry", commands: "list[Entry]") -> list[str]:
    """The words that may stand as arguments, commands behind this one among them."""
    behind = [
        other.name.removeprefix(f"{entry.name} ")
        for other in commands
        if other.name.startswith(f"{entry.name} ")
    ]
    return [*(str(each) for action in entry.operands for each in action.choices or ()), *behind]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fished(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}
