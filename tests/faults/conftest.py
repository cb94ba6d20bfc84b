"""The attacks silence the log, of which they would write thousands of lines; the tests after them read it."""

import logging
from collections.abc import Iterator

import pytest
from voice_gateway.platform.observability import log


@pytest.fixture(autouse=True)
def _heard_again() -> Iterator[None]:
    level = logging.getLogger(log.name).level
    yield
    log.setLevel(level)
