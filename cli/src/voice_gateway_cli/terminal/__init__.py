"""What a person sees: ``output.py`` tables, sentences and JSON, ``plot.py`` a curve of block characters."""
