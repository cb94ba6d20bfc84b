"""What an operator runs against a deployed stack, here or on AWS: `make smoke`, `address`, `templates`, `deploy`.

``target.py`` says which stack is meant, ``command.py`` is what all commands share. They use the package and
``local/places.py``, and nothing else of ``local/``: starting the local stack is another thing.
"""
