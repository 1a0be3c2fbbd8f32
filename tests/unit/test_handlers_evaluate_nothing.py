"""What Blender calls in the middle of an evaluation evaluates nothing itself.

Evaluating a dependency graph inside its own handlers crashes Blender, surely on large meshes (see
tests/blender/test_large_meshes.py). So nothing that these handlers reach may do it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

RIG = Path(__file__).resolve().parents[2] / "rig"
STARTS = (("handlers", "_on_depsgraph_update"), ("handlers", "_on_frame_change"))
# Functions where a way ends, and why.
ENDS = {
    ("copies", "_separate"): "an undo step; test_large_meshes shows that it holds",
    ("live", "refresh_later"): "sets a flag in the interface; in the background nobody asks here",
}
# What makes Blender evaluate, as it is written.
EVALUATING = {"frame_set", "evaluated_depsgraph_get"}
UPDATED_OWNERS = {"view_layer", "depsgraph", "layer"}
Key = tuple[str, str]  # module, function or Class.method


@dataclass
class Module:
    """What one module of rig/ defines, and what its names for other ones of them mean."""

    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    imported: dict[str, Key] = field(default_factory=dict)


def read() -> dict[str, Module]:
    found = {path.stem: Module() for path in RIG.glob("*.py")}
    for name, module in found.items():
        tree = ast.parse((RIG / f"{name}.py").read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                module.functions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                module.functions |= {f"{node.name}.{item.name}": item for item in methods}
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or node.level != 1:
                continue
            for alias in node.names:
                label = alias.asname or alias.name
                if node.module is None:
                    module.modules[label] = alias.name
                else:
                    module.imported[label] = (node.module, alias.name)
    return found


def calls(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """(owner as written, name) of every call in a function; "" for a plain name."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield ast.unparse(node.func.value), node.func.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield "", node.func.id


def targets(known: dict[str, Module], key: Key, owner: str, name: str) -> Iterator[Key]:
    """The functions that a call may mean; of methods, all of that name."""
    module, place = known[key[0]], key[1]
    if owner in module.modules:
        yield module.modules[owner], name
    elif owner == "self":
        yield key[0], f"{place.split('.')[0]}.{name}"
    elif owner and name != "__init__":
        for other, content in known.items():
            yield from ((other, item) for item in content.functions if item.endswith(f".{name}"))
    else:
        found = module.imported.get(name, (key[0], name))
        yield found
        yield found[0], f"{found[1]}.__init__"


def evaluates(owner: str, name: str) -> bool:
    is_update = name == "update" and owner.split(".")[-1] in UPDATED_OWNERS
    return is_update or name in EVALUATING or owner.startswith("bpy.ops")


def test_nothing_that_these_handlers_reach_evaluates() -> None:
    known = read()
    ways: dict[Key, str] = dict.fromkeys(STARTS, "")
    waiting, wrong = list(STARTS), []
    while waiting:
        key = waiting.pop()
        for owner, name in calls(known[key[0]].functions[key[1]]):
            way = f"{ways[key]} > {'.'.join(key)}"
            if evaluates(owner, name):
                wrong.append(f"{way}: {owner}.{name}()")
            for other in targets(known, key, owner, name):
                is_there = other[0] in known and other[1] in known[other[0]].functions
                if is_there and other not in ways and other not in ENDS:
                    ways[other] = way
                    waiting.append(other)
    assert not wrong, "\n".join(wrong)
    there = {
        ("rest", "settle"),
        ("session", "Session.show_now"),
        ("refit", "fit"),
        ("pump", "start"),
    }
    assert there <= set(ways), "the ways were not followed"


def test_every_end_is_still_there() -> None:
    known = read()
    assert all(name in known[module].functions for module, name in ENDS)
