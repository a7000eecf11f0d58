"""YAML as far as configuration needs it: plain values, each key once, no aliases."""

from typing import Any

from hookline.model.errors import BadConfig, BadData


def decode(text: bytes) -> object:
    """The value of the one document in a text.

    Raises BadData for what is no YAML, and for what can mean more than it says: a key that is there
    twice, an alias (a kilobyte of them is gigabytes), a tag. Raises BadConfig without PyYAML.
    """
    try:
        import yaml
    except ImportError as missing:
        raise BadConfig(
            "YAML needs PyYAML: pip install 'hookline[layers]', or write the file as TOML"
        ) from missing

    class Strict(yaml.SafeLoader):
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                found = self.peek_event()  # type: ignore[no-untyped-call]  # so are its stubs
                raise BadData(f"an alias in {_line(found)}: write it out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise BadData(f"a key that is no text in {_line(key)}")
                if key.value in seen:
                    raise BadData(f"{key.value!r} is there twice, again in {_line(key)}")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text.decode(), Strict)  # noqa: S506  # a SafeLoader that takes still less
    except (yaml.YAMLError, RecursionError, ValueError) as wrong:
        raise BadData(f"it is no YAML: {' '.join(str(wrong).split())}") from wrong


def _line(marked: Any) -> str:
    return f"line {marked.start_mark.line + 1}"
