"""The operator's command, ``voice-gateway``: what became of a message and why, and what is to be done.

``main.py`` lists the commands; each is a function of ``commands/``, which wires what the rooms do: ``why/``,
``letters/``, ``keys/``, ``catalogue/``, ``smoke/``. They stand on ``deployed/``, the gateway as it is reached, and on
``terminal/``, what a person sees. ``session.py`` is what all commands share, ``errors.py`` how they fail. The gateway's
own package gives the words, the hashes and the items' shapes.
"""
