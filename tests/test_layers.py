"""The layers of docs/architecture.md hold: imports point down, and heavy modules stay out of light commands."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tinylm"
LAYERS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"experiments", "export"},
    {"training", "sampling"},
    {"model", "optim", "data", "tokenizer", "accounting", "schedules"},
    {"configs"},
    {"errors", "files"},
    {"__init__"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
MAY_IMPORT_EACH_OTHER = [{"training", "sampling"}, {"errors", "files"}, {"experiments", "export"}]
MODULES = sorted(SOURCE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def part(module: str) -> str:
    """`tinylm.model.rope` -> `model`: the package or module below tinylm, `__init__` for tinylm itself."""
    names = module.split(".")
    return names[1] if len(names) > 1 and names[1] in RANK else "__init__"


def importer(path: Path) -> str:
    """The part of tinylm that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    """A module imports only its own package and layers below it."""
    own = importer(path)
    for module in imports(path):
        if module.split(".")[0] != "tinylm":
            continue
        other = part(module)
        allowed = other == own or RANK[other] > RANK[own] or any({own, other} <= pair for pair in MAY_IMPORT_EACH_OTHER)
        assert allowed, f"{path.relative_to(SOURCE)} imports {module}: {own} may not know {other}"


def test_every_part_has_a_layer() -> None:
    """A new package must be given its place."""
    assert {importer(path) for path in MODULES} <= RANK.keys()


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("rich", {"commands/console.py"}),
        ("wandb", {"training/tracking.py"}),
        ("typer", {"cli.py", "commands/"}),
        ("pickle", set()),
    ],
)
def test_library_has_one_home(library: str, allowed: set[str]) -> None:
    """rich, wandb and typer are known in one place each, and pickle nowhere."""
    users = {str(path.relative_to(SOURCE)) for path in MODULES for m in imports(path) if m.split(".")[0] == library}
    assert all(any(user.startswith(home) for home in allowed) for user in users), users


def test_nothing_below_commands_prints_or_exits() -> None:
    """Below the commands no code prints, prompts, reads the environment or exits."""
    forbidden = {"print", "input", "exit", "quit", "breakpoint"}
    for path in MODULES:
        if RANK[importer(path)] <= RANK["commands"]:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in forbidden, f"{path.relative_to(SOURCE)}:{node.lineno} calls {node.func.id}"
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = f"{node.value.id}.{node.attr}"
                assert name not in {"os.environ", "os.getenv", "sys.exit"}, (
                    f"{path.relative_to(SOURCE)}:{node.lineno} {name}"
                )


HEAVY = ["torch", "numpy", "numba", "wandb", "matplotlib", "rich"]  # Typer itself imports pydantic for its parameters


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["train", "--help"], ["encode", "--help"], ["sample", "--help"], ["demo", "--help"]],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    """Help is instant: none of the heavy libraries is in sys.modules afterwards."""
    script = (
        "import sys\n"
        "from tinylm.cli import app\n"
        "try:\n"
        "    app(sys.argv[1:], prog_name='tinylm')\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
