"""One local stack for all end-to-end tests: real template, IAM enforced, vendors simulated."""

from collections.abc import Iterator

import pytest

from local.stack import Description, Stack, temporary_folder
from tests.e2e.canary import Canary

# Short, so that a test can wait for what takes an hour in earnest; sweep still runs once a minute, or when invoked.
PARAMETERS = {
    "RedialAfterSeconds": "2",
    "UnansweredAfterSeconds": "2",
    "VendorDeadlineSeconds": "2",
    "JumdataPerSecond": "50",  # never in the way, but where a test has taken the slots
    "VendorRestSeconds": "0",  # else one test's refusal decides which vendor another test's message goes to
    "BalanceSchedule": "rate(1 minute)",
    "LogLevel": "DEBUG",  # no level may show what must not be shown
}


@pytest.fixture(scope="session")
def gateway() -> Iterator[Stack]:
    """The running stack: invoke functions, look at simulators, take permissions away.

    When the last test of a worker is over, all that was written meanwhile is looked at.
    """
    with temporary_folder("e2e") as folder, Stack(folder, parameters=PARAMETERS) as stack:
        canary = Canary(stack)
        yield stack
        found = canary.found()
        assert not found, "\n".join(found)


@pytest.fixture(scope="session")
def stack(gateway: Stack) -> Description:
    """What stack.json says of it."""
    return gateway.description
