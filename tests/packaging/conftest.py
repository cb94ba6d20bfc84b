"""The functions and layers as `sam build` leaves them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import deployment
from local.stack import temporary_folder


@pytest.fixture(scope="session")
def built() -> Iterator[Path]:
    with temporary_folder("packaging") as folder:
        yield deployment.build(folder / "build").parent
