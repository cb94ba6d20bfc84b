"""Why a message did what it did.

``evidence.py`` gathers, ``story.py`` tells it in order, ``causes.py`` says what it means and what to do: the first
cause that applies, of ``never_stored.py``, ``ended.py``, ``refused.py``, ``kept.py`` and ``under_way.py``, which are
made of ``cause.py``. ``words.py`` has the vendors' and the gateway's words in plain ones.
"""
