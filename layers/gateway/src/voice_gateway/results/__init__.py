"""What became of a message, told to its caller: published as it changes, and answered when asked.

``publish.py`` is the story of ``publish``, ``status.py`` that of ``status``. Imports ``model``, ``platform`` and
``storage``. Begin with ``publish.py``.
"""
