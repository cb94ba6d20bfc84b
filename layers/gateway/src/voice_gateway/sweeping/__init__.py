"""Once a minute: finishes what nobody else will look at again. One module for each thing that a sweep does.

``waiting_receipts.py`` finds the messages of receipts that wait; ``outbox.py`` writes what could not be written;
``stale.py`` ends calls that were cut off; ``unknown.py`` goes on to the next number, or redials, where nobody knows;
``unanswered.py`` asks vendors for results that no callback brought; ``due.py`` hands over what was deferred, and
expires what is too late; ``adopt.py`` brings over what an earlier release stored.
Imports ``model``, ``platform``, ``storage``, ``vendors``, and ``receipts.settling``, to settle what a callback could
not. Begin with ``sweep.py``.
"""
