"""The TLS context, one a process, for AWS and for vendors: to load the CA bundle is most of what a connection costs."""

import ssl
from functools import cache

import certifi


@cache
def tls() -> ssl.SSLContext:
    """Verifies certificates and host names by certifi's bundle."""
    return ssl.create_default_context(cafile=certifi.where())
