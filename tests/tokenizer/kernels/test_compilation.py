"""When kernels are compiled, and whose machine code is thrown away."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import tinylm
from tinylm.tokenizer.kernels import compilation
from tinylm.tokenizer.kernels.compilation import compile_part, is_compiled


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with nothing in it, which compiling fills with two files."""

    def use(part: str) -> None:
        (tmp_path / f"{compilation.hash_of_machine()}.nbc").touch()
        (tmp_path / "index.nbi").touch()

    monkeypatch.setattr(compilation, "cache_directory", lambda: tmp_path)
    monkeypatch.setattr(compilation, "use", use)
    return tmp_path


def names(cache: Path) -> set[str]:
    """What machine code is there."""
    return {path.name for path in cache.iterdir() if path.suffix in {".nbi", ".nbc"}}


def test_another_processor_keeps_its_machine_code(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines that share a directory compile once each."""
    compile_part("train")
    with monkeypatch.context() as other_machine:
        other_machine.setattr(compilation, "hash_of_machine", lambda: "other")
        assert not is_compiled("train")
        compile_part("train")
        assert is_compiled("train")
    assert is_compiled("train")
    assert names(cache) == {f"{compilation.hash_of_machine()}.nbc", "other.nbc", "index.nbi"}


def test_machine_code_of_other_sources_goes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """numba itself would take it for what it is not."""
    (cache / "old.nbc").touch()
    compile_part("train")
    assert "old.nbc" not in names(cache)
    monkeypatch.setattr(compilation, "hash_of_sources", lambda: "changed")
    assert not is_compiled("train")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions")
def test_nowhere_to_keep_machine_code(tmp_path: Path) -> None:
    """Neither beside the sources nor in the user's cache, as in a container: kernels can be imported all the same."""
    package = tmp_path / "site" / "tinylm"
    shutil.copytree(Path(tinylm.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "tokenizer" / "kernels" / "__pycache__").touch()  # a file, since root may write to any directory
    (tmp_path / "home").touch(mode=stat.S_IRUSR)
    home = str(tmp_path / "home")
    program = """
from tinylm.tokenizer.kernels import compilation
from tinylm.tokenizer.kernels.kernel import IS_KEPT
assert not IS_KEPT and not compilation.is_compiled("train")
compilation.compile_part("train")
"""
    environment = os.environ | {"PYTHONPATH": str(package.parent), "HOME": home, "XDG_CACHE_HOME": home}
    environment.pop("NUMBA_CACHE_DIR", None)
    subprocess.run([sys.executable, "-B", "-c", program], check=True, env=environment)
