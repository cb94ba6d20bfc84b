"""The caller's side of a voice-notification gateway: send, publish, ask, call off, and read results as they come.

Begin with :class:`Gateway`. ``request`` and ``result`` are what goes in and what comes out, as docs/using.md has them.
"""

from voice_gateway_client.errors import GatewayError, NotSent, OutcomeUnknown
from voice_gateway_client.gateway import Gateway
from voice_gateway_client.request import Redial, Request
from voice_gateway_client.result import Error, NextRing, Receipt, Result, Ring
from voice_gateway_client.results import Results

__all__ = [
    "Error",
    "Gateway",
    "GatewayError",
    "NextRing",
    "NotSent",
    "OutcomeUnknown",
    "Receipt",
    "Redial",
    "Request",
    "Result",
    "Results",
    "Ring",
]
