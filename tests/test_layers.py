"""The one-way rule: a package of jnas imports only from those to its left, never in a cycle."""

import ast
import subprocess
import sys
from pathlib import Path

import jnas

ROOT = Path(jnas.__file__).parent

# What each room may import, as in "types -> spaces -> networks -> zeroshot"; besides, itself and
# the version of the package.
LEAVES = {"_renamed", "_shown", "engine", "types"}
ALLOWED: dict[str, set[str]] = {
    "_renamed": set(),
    "_shown": set(),
    "types": {"_renamed", "_shown"},
    "engine": {"_renamed", "_shown", "types"},
    "metrics": {"_renamed", "_shown"},
    "losses": LEAVES,
    "images": LEAVES,
    "data": LEAVES | {"images"},
    "spaces": LEAVES,
    "encodings": LEAVES | {"spaces"},
    "predictors": LEAVES | {"spaces", "encodings", "losses", "metrics"},
    "networks": LEAVES | {"spaces"},
    "zeroshot": LEAVES | {"spaces", "networks"},
    "training": LEAVES | {"spaces", "networks", "data"},
    "oneshot": LEAVES
    | {"spaces", "networks", "zeroshot", "data", "training", "encodings", "predictors"}
    | {"losses", "metrics"},
    "benchmarks": LEAVES | {"spaces"},
    "search": LEAVES,
    "population": LEAVES,
    "plots": LEAVES | {"spaces", "metrics"},
    "report": LEAVES | {"plots"},
    "commands": LEAVES
    | {"spaces", "networks", "zeroshot", "predictors", "benchmarks", "images", "data"}
    | {"training", "oneshot"}
    | {"metrics", "search", "plots", "population", "report"},
    "__main__": {"commands"},
}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports, also inside functions; `jnas.x` attributes count as imports."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("jnas.")}
    return {room for room in rooms if (ROOT / room).is_dir() or (ROOT / f"{room}.py").is_file()}


def test_every_room_has_a_rule() -> None:
    rooms = {room_of(path) for path in ROOT.rglob("*.py")} - {"__init__"}
    assert rooms == set(ALLOWED)


def test_imports_go_one_way() -> None:
    for path in ROOT.rglob("*.py"):
        room = room_of(path)
        if room != "__init__":
            assert imported_rooms(path) - {room} <= ALLOWED[room], path


def test_rules_have_no_cycle() -> None:
    left: set[str] = set()
    while left != set(ALLOWED):
        ready = {room for room, needs in ALLOWED.items() if needs <= left} - left
        assert ready, f"cycle among {set(ALLOWED) - left}"
        left |= ready


def test_the_check_sees_an_import(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("import jnas\nfrom jnas import search\ndef f():\n    return jnas.metrics\n")
    assert imported_rooms(file) == {"search", "metrics"}


def test_importing_jnas_leaves_heavy_libraries_alone() -> None:
    code = (
        "import sys, jnas; [getattr(jnas, name) for name in jnas.__all__]; "
        "print([m for m in ('matplotlib', 'sklearn', 'scipy.stats', 'orbax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_completion_lists_public_names_only() -> None:
    listed = [getattr(jnas, name) for name in jnas.__all__]
    packages = [module for module in listed if hasattr(module, "__all__")]
    assert "population" in {module.__name__.removeprefix("jnas.") for module in packages}
    for module in packages:
        assert dir(module) == sorted(module.__all__)
    assert jnas.population.score is not None
    assert dir(jnas.population) == ["environment", "fingerprint", "one_device_per_core", "score"]


def test_packages_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, jnas\n"
        "assert not [m for m in sys.modules if m.startswith(('jnas.', 'flax', 'optax'))]\n"
        "assert jnas.spaces.nasbench201().name == 'nasbench201'\n"
        "from jnas import zeroshot\n"
        "assert {'spaces', '__version__'} <= set(dir(jnas))\n"
        "jnas.serach"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "module 'jnas' has no attribute 'serach'. Did you mean 'search'?" in done.stderr
