"""A voice-notification gateway: one call a message, and a certain answer to what became of it."""
