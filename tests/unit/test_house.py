"""The rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("engine", "host", "rig", "operators", "panels")
CHECKED = (*PRODUCT, "scripts", "tests")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_OPERATOR_LINES = 15

# The two places that may catch everything: one for Blender's operators, one for the engine.
BOUNDARIES = {"operators/_base.py", "engine/service.py"}
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}

# What Blender or the interpreter calls by name.
CALLED_OUTSIDE = {"register", "unregister", "main"}


def python_files(folders: tuple[str, ...]) -> list[Path]:
    files = sorted(ROOT.glob("*.py"))
    for folder in folders:
        files += sorted((ROOT / folder).rglob("*.py"))
    return [path for path in files if "__pycache__" not in path.parts]


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


ALL_FILES = python_files(CHECKED)
PRODUCT_FILES = python_files(PRODUCT)


@pytest.mark.parametrize("path", ALL_FILES, ids=names)
def test_files_and_functions_stay_readable(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{names(path)} has {lines} lines"
    long = [
        f"{names(path)}:{f.lineno} {f.name} has {body_lines(f)} lines"
        for f in functions_of(path)
        if body_lines(f) > MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("path", python_files(("operators",)), ids=names)
def test_operators_are_thin(path: Path) -> None:
    thick = [
        f"{names(path)}:{f.lineno} {f.name} has {body_lines(f)} lines"
        for f in functions_of(path)
        if f.name in {"execute", "_run"} and body_lines(f) > MAX_OPERATOR_LINES
    ]
    assert not thick, "\n".join(thick)


def test_only_compat_reads_blenders_version() -> None:
    pattern = re.compile(r"\bbpy\.app\.version\b|\bapp\.version\b")
    wrong = [
        names(path)
        for path in python_files(PRODUCT)
        if path.name != "compat.py" and pattern.search(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, wrong


def test_annotations_have_no_lambdas() -> None:
    """Blender evaluates a property's annotation where a lambda cannot find its module's names."""
    wrong = [
        f"{names(path)}:{node.lineno}"
        for path in PRODUCT_FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.AnnAssign)
        and any(isinstance(part, ast.Lambda) for part in ast.walk(node.annotation))
    ]
    assert not wrong, wrong


def test_the_product_does_not_print() -> None:
    """stdout belongs to the wire in the engine and to Blender in the add-on."""
    wrong = [
        f"{names(path)}:{node.lineno}"
        for path in PRODUCT_FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not wrong, wrong


def catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})
        for kind in kinds
    )


def test_only_the_two_boundaries_catch_everything() -> None:
    wrong = [
        f"{names(path)}:{node.lineno}"
        for path in PRODUCT_FILES
        if names(path) not in BOUNDARIES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    ]
    assert not wrong, wrong


def statement_lists(function: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                yield block


def asks_another_poll(node: ast.AST) -> bool:
    """Whether this is `if not poll_…(…):`, whose poll has said why already."""
    if not isinstance(node, ast.If):
        return False
    calls = [call for call in ast.walk(node.test) if isinstance(call, ast.Call)]
    return any(ast.unparse(call.func).rpartition(".")[2].startswith("poll") for call in calls)


def silent_refusals(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[int]:
    """Lines of `return False` that no poll_message_set comes before in the same block."""
    lines = []
    answered = [node.body for node in ast.walk(function) if asks_another_poll(node)]
    for block in statement_lists(function):
        if block in answered:
            continue
        for index, statement in enumerate(block):
            if (
                isinstance(statement, ast.Return)
                and isinstance(statement.value, ast.Constant)
                and statement.value.value is False
            ):
                before = "\n".join(ast.unparse(s) for s in block[:index])
                if "poll_message_set(" not in before:
                    lines.append(statement.lineno)
    return lines


def test_every_refusing_poll_says_why() -> None:
    wrong = [
        f"{names(path)}:{line} {function.name}"
        for path in python_files(("operators",))
        for function in functions_of(path)
        if function.name == "poll" or function.name.startswith("poll_")
        for line in silent_refusals(function)
    ]
    assert not wrong, wrong


def test_a_silent_poll_is_seen() -> None:
    source = (
        "def poll(cls, context):\n    if not context.object:\n        return False\n    return True"
    )
    function = next(iter(ast.parse(source).body))
    assert isinstance(function, ast.FunctionDef)
    assert silent_refusals(function) == [3]


def test_no_file_has_a_name_that_says_nothing() -> None:
    wrong = [names(p) for p in ALL_FILES if p.stem.strip("_").lower() in VAGUE_NAMES]
    wrong += [names(p) for p in ALL_FILES if p.parent.name.lower() in VAGUE_NAMES]
    assert not wrong, wrong


def test_version_of_the_manifest_heads_the_changelog() -> None:
    manifest = tomllib.loads((ROOT / "blender_manifest.toml").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", changelog, flags=re.MULTILINE)
    assert versions
    assert versions[0] == manifest["version"]


def test_documents_name_only_files_that_exist() -> None:
    """Relative links of the Markdown files lead somewhere."""
    broken = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{names(path)}: {target}")
    assert not broken, "\n".join(broken)


def test_the_architecture_names_every_module_and_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named: set[str] = set()
    for folder, modules in re.findall(
        r"^\| `([a-z0-9/]+)/`[^|]*\| (`[^|]*) \|$", text, re.MULTILINE
    ):
        named |= {f"{folder}/{name}.py" for name in re.findall(r"`(\w+)`", modules)}
    there = {names(path) for path in PRODUCT_FILES if path.parent != ROOT}
    assert named == {name for name in there if not name.endswith("__init__.py")}


def test_the_product_carries_nothing_that_it_does_not_use() -> None:
    """Public functions and classes that only tests or scripts call belong to those."""
    texts = {path: path.read_text(encoding="utf-8") for path in PRODUCT_FILES}
    words = Counter(word for text in texts.values() for word in re.findall(r"\w+", text))
    unused = []
    for path, text in texts.items():
        for node in ast.parse(text).body:
            is_named = isinstance(node, ast.FunctionDef | ast.ClassDef)
            if is_named and words[node.name] < 2 and node.name not in CALLED_OUTSIDE:
                unused.append(f"{names(path)}: {node.name}")
    assert not unused, "\n".join(unused)


def test_the_folder_of_the_wheels_says_what_lands_there() -> None:
    readme = ROOT / "wheels" / "README.md"
    assert "!wheels/README.md" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    manifest = (ROOT / "blender_manifest.toml").read_text(encoding="utf-8")
    distributions = {name.split("-")[0] for name in re.findall(r"wheels/([\w.-]+)\.whl", manifest)}
    assert distributions
    text = readme.read_text(encoding="utf-8").lower()
    assert [name for name in distributions if name.split("_")[0] not in text] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("given", [["TEMPLATES=/some/templates"], []])
def test_make_parity_passes_the_templates_folder_on(given: list[str]) -> None:
    command = ["make", "-n", "parity", "GOLDEN=/some/numbers", "DEVICE=cpu", *given]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'parity.py "/some/numbers"' in told
    assert ('--templates "/some/templates"' in told) == bool(given)
    assert ("--templates" in told) == bool(given)


def test_documents_and_messages_name_one_smallest_face() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    folders = ("engine", "rig", "operators", "panels")
    texts |= {p: p.read_text(encoding="utf-8") for f in folders for p in (ROOT / f).rglob("*.py")}
    named = re.compile(r"at least (?:about )?([0-9]+) (?:px|pixels) (?:wide|from side)")
    found = {path.name: set(named.findall(text)) for path, text in texts.items()}
    measured = re.search(r"^MINIMUM_FACE_PX = ([0-9]+)$", texts[ROOT / "engine/motion.py"], re.M)
    assert measured and found["guide.md"] == {measured[1]}
    assert set().union(*found.values()) == {measured[1]}


def test_preferences_show_their_units() -> None:
    units = {"s": "(s)", "mb": "(MB)", "mp": "(MP)"}
    tree = ast.parse((ROOT / "preferences.py").read_text(encoding="utf-8"))
    shown = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Call):
            keywords = {item.arg: ast.unparse(item.value) for item in node.annotation.keywords}
            shown[ast.unparse(node.target)] = keywords.get("name", "")
    measures = {name: units.get(name.rpartition("_")[2]) for name in shown}
    assert {"frame_timeout_s", "open_timeout_s", "cache_limit_mb"} <= set(measures)
    assert [n for n, unit in measures.items() if unit and unit not in shown[n]] == []
