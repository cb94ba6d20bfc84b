"""The rotation of the key that signs callback addresses: `voice-gateway keys`.

``secret.py`` reads and writes the callback secret, ``rotation.py`` is the note in it that says how far a rotation is,
``standing.py`` what note and keys together mean and what is due, ``asking.py`` asks the deployed callbacks which
addresses are good, ``rotating.py`` does one step, and ``telling.py`` says all of it. Begin with ``standing.py``.

The order of the steps is docs/keys.md's: a key is known to every function before it signs, and an old one is good
for as long as an address may be out that it signed. Nothing is kept beside the secret, so any machine can go on.
"""
