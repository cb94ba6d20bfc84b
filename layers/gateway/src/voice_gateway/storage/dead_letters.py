"""The gateway's dead-letter queue: what cannot be read or applied, raw, for a person to look at."""

import json
from typing import Any

from voice_gateway.platform.aws import send_to_queue
from voice_gateway.platform.observability import log


class DeadLetters:
    """Keeps dead letters. The queue is encrypted, and forgets after 14 days."""

    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url

    def keep(self, why: str, content: dict[str, Any]) -> None:
        """Raises AwsUnavailable."""
        send_to_queue(self._queue_url, json.dumps({"why": why, **content}, ensure_ascii=False, default=str))
        log.warning("kept as a dead letter", extra={"why": why, "message_id": content.get("message_id")})
