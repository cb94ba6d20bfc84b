"""The checks of `voice-gateway smoke`: a deployed stack from end to end, and no phone is rung.

``run.py`` has their order; each group is in a module of its own, and each check is a function of the stack that yields
what it found (``finding.py``).
"""
