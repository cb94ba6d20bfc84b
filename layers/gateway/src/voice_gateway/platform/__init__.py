"""What the gateway stands on: AWS clients, settings, secrets, callback tokens, logs and metrics.

Imports ``model`` only. Begin with ``settings.py``: all that a deployment can set.
"""
