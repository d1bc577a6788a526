"""A YAML loader for plain documents: no objects, no field given twice, aliases that stay small."""

from collections.abc import Hashable
from typing import Any

import yaml

try:
    from yaml import CSafeLoader as _SafeLoader  # libyaml's, ten times as fast
except ImportError:
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

_MOST_NODES = 100_000
_MERGE = "tag:yaml.org,2002:merge"


class PlainLoader(_SafeLoader):
    """PyYAML's safe loader, which also refuses what spoils a document without an error.

    Raises yaml.YAMLError for fields given twice, for aliases that hold themselves, and for those that unfold
    to more than 100,000 values.
    """

    def get_single_node(self) -> yaml.Node | None:
        """The document's root."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _unfolded(node, {})
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose fields are given once each; merged ones may be given anew."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                name = (key.tag, key.value)
                # Merging puts the other mapping's fields in front, once this has been called.
                if name in seen and not getattr(node, "merged", False):
                    raise yaml.MarkedYAMLError(
                        problem=f"the field {key.value[:80]!r} is given twice", problem_mark=key.start_mark
                    )
                seen.add(name)
            elif key.tag == _MERGE:
                node.merged = True  # type: ignore[attr-defined]
        return super().construct_mapping(node, deep=deep)


def _unfolded(node: yaml.Node, known: dict[int, int | None]) -> int:
    """How many values a node has with all aliases unfolded; `known` has None for what is being counted."""
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise yaml.MarkedYAMLError(problem="an alias holds itself", problem_mark=node.start_mark)
        return size
    known[id(node)] = None
    size = 1
    if isinstance(node, yaml.MappingNode):
        size += sum(_unfolded(key, known) + _unfolded(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        size += sum(_unfolded(value, known) for value in node.value)
    if size > _MOST_NODES:
        raise yaml.MarkedYAMLError(
            problem=f"its aliases unfold to more than {_MOST_NODES:,} values", problem_mark=node.start_mark
        )
    known[id(node)] = size
    return size
