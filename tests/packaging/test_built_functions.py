"""Each function runs with what its layers hold, and with nothing else."""

import importlib.util
import marshal
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from local import deployment
from local.places import ROOT
from tests import found

FUNCTIONS = {folder: f"{name}Function" for folder, name in zip(found.FOLDERS, found.FUNCTIONS, strict=True)}
LAYERS = ("DependenciesLayer", "GatewayLayer")

# What each needs of the dependencies layer sooner or later, imported as Lambda would: from the layer alone.
NEEDED = ("aws_lambda_powertools", "boto3", "botocore", "defusedxml", "requests", "urllib3")

LAYER_LIMIT_MB = 7


def run(*path: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code with a path of these folders and the standard library: no site-packages, no environment."""
    entries = [str(each) for each in path]
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path[:0] = {entries!r}\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        env={},
    )


def layers(built: Path) -> list[Path]:
    return [built / layer / "python" for layer in LAYERS]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_with_its_layers_and_nothing_else(built: Path, function: str) -> None:
    done = run(built / FUNCTIONS[function], *layers(built), code="import app; assert callable(app.handler)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", NEEDED)
def test_a_package_is_in_the_layer(built: Path, package: str) -> None:
    """Some are imported only when they are needed, so that importing a function would not show their absence."""
    done = run(*layers(built), code=f"import {package}; print({package}.__file__)")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(built / "DependenciesLayer"))


def test_the_layers_hold_all_that_the_gateway_imports(built: Path) -> None:
    """Every module of it, the rarely used too."""
    code = """
import importlib, pkgutil, voice_gateway
for module in pkgutil.walk_packages(voice_gateway.__path__, "voice_gateway."):
    importlib.import_module(module.name)
"""
    done = run(*layers(built), code=code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "code"),
    [(name, "import app") for name in ("botocore", "jmespath", "requests", "urllib3")]
    + [("aws_lambda_powertools", "import app; from voice_gateway.platform.observability import log; log.error('x')")],
)
def test_a_package_taken_out_of_the_layer_is_missed(built: Path, tmp_path: Path, package: str, code: str) -> None:
    dependencies, gateway = layers(built)
    for entry in dependencies.iterdir():
        if entry.name != package:
            (tmp_path / entry.name).symlink_to(entry)
    done = run(built / FUNCTIONS["send"], tmp_path, gateway, code=code)
    assert done.returncode != 0
    assert f"No module named '{package}" in done.stderr


def test_bytecode_is_there_and_is_used_whatever_the_date_of_its_source(built: Path) -> None:
    dependencies, gateway = layers(built)
    sources = sorted(gateway.rglob("*.py"))
    assert sources
    assert not list(dependencies.rglob("*.py")), "others' code is bytecode alone"
    compiled = [Path(importlib.util.cache_from_source(str(source))) for source in sources]
    for path in [*compiled, *dependencies.rglob("*.pyc")]:
        content = path.read_bytes()
        assert content[:4] == importlib.util.MAGIC_NUMBER, path
        assert int.from_bytes(content[4:8], "little") == 0b01, f"{path}: hash-based, and not checked"


def test_tracebacks_name_files_where_lambda_has_them(built: Path) -> None:
    source = built / "GatewayLayer" / "python" / "voice_gateway" / "platform" / "settings.py"
    code = marshal.loads(Path(importlib.util.cache_from_source(str(source))).read_bytes()[16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/opt/python/voice_gateway/platform/settings.py"


def test_what_is_for_type_checkers_only_is_not_compiled_and_lines_stay_where_they_are(tmp_path: Path) -> None:
    source = """from typing import TYPE_CHECKING
import typing
if TYPE_CHECKING:
    from nowhere import A
if typing.TYPE_CHECKING:
    from nowhere import B
else:
    B = 2
if not TYPE_CHECKING:
    C = 3
class D:
    if TYPE_CHECKING:
        e: int
def f():
    raise ValueError(B, C)
"""
    (tmp_path / "m.py").write_text(source)
    compiling = [sys.executable, str(ROOT / "layers" / "bytecode.py"), str(tmp_path), "alone"]
    subprocess.run(compiling, check=True)
    assert b"nowhere" not in (tmp_path / "m.pyc").read_bytes()
    done = run(tmp_path, code="import m; print(m.B, m.C, m.D); m.f()")
    assert done.stdout.startswith("2 3 <class")
    assert 'm.py", line 15, in f' in done.stderr


def test_the_layer_is_small_for_every_cold_start_unpacks_it(built: Path) -> None:
    folder = built / "DependenciesLayer"
    size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    assert size < LAYER_LIMIT_MB * 1_000_000


def test_nothing_is_compiled_for_one_kind_of_processor(built: Path) -> None:
    """One layer for x86_64 and arm64."""
    for layer in layers(built):
        assert {each.suffix for each in layer.rglob("*") if each.is_file()} & {".so", ".pyd", ".dylib"} == set()


def test_nothing_of_the_building_machine_is_in_the_layers(built: Path) -> None:
    for layer in LAYERS:
        names = {each.name for each in (built / layer).rglob("*")}
        assert not names & {"RECORD", "INSTALLER", "direct_url.json", "bin"}


def test_the_gateway_layer_holds_the_package_and_nothing_that_lay_beside_it(built: Path) -> None:
    kinds = {each.suffix for each in (built / "GatewayLayer").rglob("*") if each.is_file() and each.name != "py.typed"}
    assert kinds == {".py", ".pyc"}


@pytest.mark.parametrize(
    "path",
    ["functions/send/app.py", "layers/gateway/src/new.py", "layers/gateway/Makefile", "template.yaml", "uv.lock"],
)
def test_the_local_stack_is_built_anew_where_anything_of_it_has_changed(tmp_path: Path, path: str) -> None:
    for name in ("functions/send/app.py", "layers/gateway/Makefile", "samconfig.toml", "template.yaml", "uv.lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as it was")
    before = deployment.made_of(tmp_path)
    (tmp_path / "layers" / "old.pyc").write_text("what Python leaves behind")
    assert deployment.made_of(tmp_path) == before
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("as it is")
    assert deployment.made_of(tmp_path) != before
