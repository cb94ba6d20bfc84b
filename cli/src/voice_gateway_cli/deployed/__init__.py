"""A deployed gateway as the commands reach it.

``target.py`` says which one, ``stack.py`` has its table, queues, logs and functions; ``finding.py`` looks for messages,
``callbacks.py`` asks its API what it thinks of a token.
"""
