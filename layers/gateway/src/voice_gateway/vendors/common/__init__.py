"""What all vendors share: the path from a call to its outcome, the HTTP exchange, the reading of replies and callbacks.

``base.py`` is the path, and what a vendor must write; ``http.py`` a request and a reply; ``exchange.py`` carries one;
``decoding.py`` turns bytes into fields; ``accounts.py`` adds what a deployment sets. Begin with ``base.py``.
"""
