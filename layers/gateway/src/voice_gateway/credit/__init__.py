"""How much credit is left at each vendor, and one alarm for each change of that.

``check.py`` is what ``balance_check`` does; ``state.py`` decides the state after a check, ``forecast.py`` says how long
the credit lasts; ``alarm.py`` writes the alarm. Imports ``model``, ``platform``, ``storage`` and ``vendors``. Begin
with ``check.py``.
"""
