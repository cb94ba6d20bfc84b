"""The parameters that say how quick a function is."""

from typing import Any

import pytest

from tests.found import VENDORS
from tests.template.evaluation import FRANKFURT, Evaluation

HOT = ("Send", *(f"Callback{name.title()}" for name in VENDORS))


def functions(**parameters: str) -> dict[str, dict[str, Any]]:
    found = Evaluation(FRANKFURT, **parameters).of_type("AWS::Lambda::Function")
    return {name.removesuffix("Function"): each["Properties"] for name, each in found.items()}


def test_memory_is_set_of_send_and_of_the_callbacks_by_themselves() -> None:
    before, after = functions(), functions(SendMemory="1024", CallbackMemory="1769")
    assert [int(before[name]["MemorySize"]) for name in HOT] == [512] * len(HOT)
    sizes = {name: int(after[name]["MemorySize"]) for name in after}
    assert sizes["Send"] == 1024
    assert {sizes[name] for name in HOT[1:]} == {1769}
    others = set(after) - set(HOT)
    assert others
    assert all(after[name]["MemorySize"] == before[name]["MemorySize"] for name in others)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_all_functions_run_on_the_processors_that_are_asked_for_and_the_layers_serve_them(architecture: str) -> None:
    assert {tuple(each["Architectures"]) for each in functions(Architecture=architecture).values()} == {(architecture,)}
    layers = Evaluation(FRANKFURT, Architecture=architecture).of_type("AWS::Lambda::LayerVersion")
    assert len(layers) == 2
    for layer in layers.values():
        assert architecture in layer["Properties"]["CompatibleArchitectures"]


def test_snapshots_are_taken_only_if_they_are_asked_for() -> None:
    assert not any("SnapStart" in each for each in functions().values())
    snapped = {name for name, each in functions(SnapStart="on").items() if "SnapStart" in each}
    assert snapped == set(HOT)
    assert {each["SnapStart"]["ApplyOn"] for name, each in functions(SnapStart="on").items() if name in snapped} == {
        "PublishedVersions"
    }


def test_what_begins_from_a_snapshot_is_called_by_a_published_version() -> None:
    """Lambda takes none of $LATEST: triggers call the alias."""
    aliases = Evaluation(FRANKFURT, SnapStart="on").of_type("AWS::Lambda::Alias")
    assert {f"{name}FunctionAliaslive" for name in HOT} <= set(aliases)
