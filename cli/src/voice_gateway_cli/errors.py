"""What goes wrong for an operator: each is one clear line on standard error, and an exit status."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from voice_gateway.model.errors import GatewayError


class CommandError(Exception):
    """What cannot be done, in words. Exit status 1."""


class UsageError(CommandError):
    """What was asked wrongly, in words. Exit status 2."""


@contextmanager
def in_words() -> Iterator[None]:
    """Turns what AWS and the gateway's package raise into a CommandError. Raises CommandError."""
    try:
        yield
    except ClientError as error:
        found = error.response.get("Error", {})
        said = found.get("Message") or found.get("Code") or str(error)
        raise CommandError(f"AWS refused {error.operation_name}: {said}") from error
    except BotoCoreError as error:
        raise CommandError(f"AWS cannot be reached or asked: {error}") from error
    except BrokenPipeError:
        raise
    except (GatewayError, OSError) as error:
        raise CommandError(str(error)) from error
    except (KeyError, ValueError) as error:
        raise CommandError(f"something is not as it should be: {type(error).__name__}: {error}") from error
