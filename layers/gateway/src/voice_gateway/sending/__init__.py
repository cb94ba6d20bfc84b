"""From a request to an outcome: read, plan, claim, call, record.

One module a step: ``reading.py`` what is asked for; ``planning.py`` who could carry it now (``routing.py`` the vendors
in order, ``used_up.py`` which have no credit, ``catalogue.py`` the text templates); ``claiming.py`` may we ring;
``calling.py`` ring; ``recording.py`` write down what came of it. Imports ``model``, ``platform``, ``storage``,
``vendors``, and ``receipts.settling``, for a receipt may be quicker than the vendor's reply. Begin with ``sender.py``.
"""
