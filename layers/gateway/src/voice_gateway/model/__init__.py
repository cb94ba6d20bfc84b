"""The words of the gateway: request, call and its outcome, receipt, message and its states, result, errors.

Plain data and pure functions: no I/O, no settings, no clock. Imports nothing of the other rooms; all of them import it.
Begin with ``message.py``: what is stored of a message, and the states that it goes through.
"""
