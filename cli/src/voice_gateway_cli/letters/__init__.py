"""Dead letters: their ``kinds``, what each is (``reading``), in ``words``; where they lie (``queue``), and back
(``redriving``).
"""
