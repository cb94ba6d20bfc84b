"""How much credit is left at each vendor, and one alarm for each change of that.

``check.py`` is the story of ``balance_check``; ``state.py`` what the state is after a check; ``alarm.py`` what the
alarm says. Imports ``model``, ``platform``, ``storage`` and ``vendors``. Begin with ``check.py``.
"""
