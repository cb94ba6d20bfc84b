"""From a vendor's callback to a message's final status: verify, read, settle.

``callbacks.py`` is the story of the callback functions: ``http.py`` what API Gateway hands over, ``verifying.py`` whose
it is, ``reading.py`` what it says, ``settling.py`` what becomes of a receipt. Sender and sweep settle receipts too, by
``settling.py`` and nothing else of this room. Imports ``model``, ``platform``, ``storage`` and ``vendors``. Begin with
``callbacks.py``.
"""
