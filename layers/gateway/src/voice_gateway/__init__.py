"""A voice-notification gateway: one call a message, and a certain answer to what became of it.

A folder is a room, named for what happens in it. Each ``__init__.py`` says what it may import and where to begin.
docs/architecture.md has the whole on one page.
"""

import gc
import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # What is imported stays: to look for garbage in it again and again is a twentieth of a cold start. From the end of
    # the first invocation on it is collected as usual (platform/observability.py).
    gc.disable()
