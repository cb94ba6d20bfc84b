"""From a vendor's callback to a message's final status: verify, read, settle.

``callbacks.py`` is what the callback functions do; ``http.py`` reads API Gateway's event, ``verifying.py`` the token,
``reading.py`` the receipts; ``settling.py`` gives a message its final status by a receipt. Sender and sweep settle
receipts too, with ``settling.py`` and nothing else of this room. Imports ``model``, ``platform``, ``storage`` and
``vendors``. Begin with ``callbacks.py``.
"""
