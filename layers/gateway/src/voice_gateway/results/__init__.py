"""Tells the caller what became of a message: published on every change, and answered when asked.

``publish.py`` is what ``publish`` does, ``status.py`` what ``status`` does. Imports ``model``, ``platform`` and
``storage``. Begin with ``publish.py``.
"""
