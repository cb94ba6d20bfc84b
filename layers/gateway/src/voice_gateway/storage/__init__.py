"""What is stored, and the conditions of every write: the calls table, the outbox, the dead letters.

The table holds four kinds of item, each with a module of its own, conditions included: ``messages.py`` ``MSG#``,
``call_ids.py`` ``CALL#``, ``quotas.py`` ``QUOTA#``, ``credit.py`` ``BALANCE#``. All of them are made of the four
requests in ``table.py``. Imports ``model`` and ``platform``. Begin with ``messages.py``: it decides who may ring.
"""
