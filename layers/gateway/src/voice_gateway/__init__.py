"""A voice-notification gateway: one call a message, and a certain answer to what became of it.

A folder is a room, named for what happens in it. Each ``__init__.py`` says what it may import and where to begin.
docs/architecture.md has the whole on one page.
"""
