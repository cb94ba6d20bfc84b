"""The catalogue of text templates: ``file.py`` reads and writes the file, ``store.py`` what is deployed.

The file is a JSON object of name → {"text": …, "vendors": {…}}.
"""
