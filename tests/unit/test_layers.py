"""Imports go one way. A sentence in a docstring does not hold a layer; this test does."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("engine", "host", "rig", "operators", "panels")
ROOT_MODULES = ("__init__", "registration", "compat", "preferences")

# Modules of the engine that Blender's side reads too: its tables.
SHARED = {
    "engine.protocol",
    "engine.controls",
    "engine.sliders",
    "engine.motion",
    "engine.renderer_table",
    "engine.take",
    "engine.source_clip",
    "engine.speech_options",
    "engine.camera_table",
    "engine.movie_table",
    "engine.viseme_table",
    "engine.weight_table",
    "engine.weight_search",
    "engine.part_files",
}

# Downloads and engine must look for the same files.
WEIGHTS = {"engine.weight_table", "engine.weight_search"}
# Both sides write files, and clean up after each other.
PARTS = "engine.part_files"
TABLES = {
    "engine.controls",
    "engine.motion",
    "engine.renderer_table",
    "engine.take",
    "engine.source_clip",
    "engine.speech_options",
    "engine.camera_table",
    "engine.movie_table",
    "engine.viseme_table",
    PARTS,
    *WEIGHTS,
}

# Layer → what it may import of this project.
ALLOWED: dict[str, set[str]] = {
    "engine": {"engine"},
    "host": {"host", "engine.protocol", "engine.weight_table", PARTS},
    "rig": {"rig", "host", "engine.protocol", *TABLES, "compat", "preferences"},
    "operators": {"operators", "rig", "host", *TABLES, "compat", "preferences"},
    "panels": {"panels", "rig", *TABLES, "compat", "preferences"},
    "compat": set(),
    "preferences": {"rig", "host", "compat"},
    "registration": {"rig", "operators", "panels", "compat", "preferences"},
    "__init__": {"registration"},
}
# Modules of the engine that every package of it may use: values, the seam, pixels.
FLOOR = {
    "engine.motion",
    "engine.controls",
    "engine.take",
    "engine.speech_options",
    "engine.camera_table",
    "engine.movie_table",
    "engine.viseme_table",
    "engine.sliders",
    "engine.renderer",
    "engine.alpha",
    "engine.srgb",
}
# Package of the engine → what else of the engine it may import. Modules at the engine's top join
# the packages and may import all of them.
ENGINE_ARROWS: dict[str, set[str]] = {
    "engine.clips": set(),
    "engine.camera": {"engine.clips"},
    "engine.performance": set(),
    "engine.speech": set(),
    "engine.audio2face": set(),
    "engine.faces": set(),
    "engine.analytic": {"engine.faces"},
    "engine.tracking": {"engine.faces", "engine.performance", PARTS},
    "engine.liveportrait": {"engine.faces", "engine.performance"},
    "engine.networks": {"engine.liveportrait.model_set", "engine.heap", *WEIGHTS},
}
# Where the networks and what is around them are put together.
JOINT = {"engine.liveportrait.installed": {"engine.networks"}}
HEAVY = {"torch", "torchvision", "cv2", "av", "onnxruntime", "mediapipe", "insightface", "openvino"}
BLENDER = {"bpy", "bmesh", "mathutils", "gpu", "bpy_extras", "bl_ui", "addon_utils"}


def module_name(path: Path) -> str:
    relative = path.relative_to(ROOT).with_suffix("")
    return ".".join(relative.parts).removesuffix(".__init__")


def layer_of(module: str) -> str:
    return module.split(".")[0]


def product_files() -> list[Path]:
    files = [ROOT / f"{name}.py" for name in ROOT_MODULES if (ROOT / f"{name}.py").exists()]
    for layer in LAYERS:
        files += sorted((ROOT / layer).rglob("*.py"))
    return files


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """(absolute dotted name, line) of every import, also those inside functions.

    "from ..engine import protocol" counts as engine.protocol where that is a module.
    """
    package = (
        module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    )
    if path.parent == ROOT:
        package = ""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".") if package else []
                parts = parts[: len(parts) - node.level + 1]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}".strip(".")
                is_module = (ROOT / Path(*full.split("."))).with_suffix(".py").exists()
                is_package = (ROOT / Path(*full.split("."))).is_dir()
                yield (full if is_module or is_package else base), node.lineno


def is_of_project(module: str) -> bool:
    return layer_of(module) in (*LAYERS, *ROOT_MODULES)


def is_allowed(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


FILES = product_files()


@pytest.mark.parametrize("path", FILES, ids=names)
def test_imports_follow_the_arrows(path: Path) -> None:
    layer = (
        layer_of(module_name(path))
        if path.name != "__init__.py" or path.parent != ROOT
        else ("__init__")
    )
    wrong = [
        f"{names(path)}:{line} imports {module}"
        for module, line in imports_of(path)
        if is_of_project(module) and not is_allowed(module, ALLOWED[layer])
    ]
    assert not wrong, "\n".join(wrong)


def breaks_inside_the_engine(module: str, imported: str) -> bool:
    """Whether an import goes against the arrows between the engine's packages."""
    package = ".".join(module.split(".")[:2])
    if package not in ENGINE_ARROWS or not imported.startswith("engine."):
        return False
    allowed = {package, *FLOOR, *ENGINE_ARROWS[package], *JOINT.get(module, ())}
    return not is_allowed(imported, allowed)


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.parent.parent == ROOT / "engine"], ids=names
)
def test_the_engines_packages_import_one_way(path: Path) -> None:
    wrong = [
        f"{names(path)}:{line} imports {imported}"
        for imported, line in imports_of(path)
        if breaks_inside_the_engine(module_name(path), imported)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_break_inside_the_engine_is_seen() -> None:
    assert breaks_inside_the_engine("engine.analytic.head", "engine.liveportrait.crop")
    assert breaks_inside_the_engine("engine.faces.find", "engine.analytic.field")
    assert breaks_inside_the_engine("engine.networks.blocks", "engine.liveportrait.portrait")
    assert breaks_inside_the_engine("engine.liveportrait.portrait", "engine.networks.blocks")
    assert not breaks_inside_the_engine("engine.liveportrait.installed", "engine.networks.devices")
    assert not breaks_inside_the_engine("engine.operations", "engine.liveportrait.crop")


@pytest.mark.parametrize("path", FILES, ids=names)
def test_heavy_and_blender_imports_stay_in_their_layers(path: Path) -> None:
    layer = layer_of(module_name(path))
    forbidden = BLENDER if layer == "engine" else HEAVY
    if layer == "host":
        forbidden = HEAVY | BLENDER | {"numpy"}
    wrong = [
        f"{names(path)}:{line} imports {module}"
        for module, line in imports_of(path)
        if layer_of(module) in forbidden
    ]
    assert not wrong, "\n".join(wrong)


def test_host_and_shared_modules_need_the_standard_library_alone() -> None:
    files = [path for path in FILES if layer_of(module_name(path)) == "host"]
    files += [ROOT / Path(*name.split(".")).with_suffix(".py") for name in SHARED]
    wrong = [
        f"{names(path)}:{line} imports {module}"
        for path in files
        for module, line in imports_of(path)
        if not is_of_project(module) and layer_of(module) not in sys.stdlib_module_names
    ]
    assert not wrong, "\n".join(wrong)


def test_the_engine_imports_itself_relatively() -> None:
    """`python -m engine` and `from ..engine import protocol` under any package name both work."""
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules: list[str] = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            wrong += [f"{names(path)}: {m}" for m in modules if is_of_project(m)]
    assert not wrong, "\n".join(wrong)


def test_package_markers_import_nothing_at_load() -> None:
    """Importing the protocol must not drag the engine in; the root must load without bpy."""
    for path in (ROOT / "__init__.py", ROOT / "engine" / "__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in body), names(path)


def test_a_planted_break_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks above must be able to fail, also for an import inside a function."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "protocol.py").write_text("")
    (tmp_path / "host").mkdir()
    path = tmp_path / "host" / "wire.py"
    path.write_text("def f():\n    from ..engine import protocol\n    from ..rig import pump\n")
    found = [module for module, _ in imports_of(path)]
    assert found == ["engine.protocol", "rig"]
    assert is_allowed(found[0], ALLOWED["host"])
    assert not is_allowed(found[1], ALLOWED["host"])
