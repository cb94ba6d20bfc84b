"""Which vendors there are, and by which rule what is deployed for each is named: no list of tests names them again."""

from voice_gateway import vendors

VENDORS = vendors.names()
TITLES = {name: name.capitalize() for name in VENDORS}
"""As the template's logical ids, parameters and outputs have them."""
CALLBACKS = tuple(f"Callback{title}" for title in TITLES.values())
FUNCTIONS = ("Send", *CALLBACKS, "Status", "Cancel", "Publish", "Sweep", "BalanceCheck")
"""Every function, by its logical id without ``Function``."""
FOLDERS = ("send", *(f"callback_{name}" for name in VENDORS), "status", "cancel", "publish", "sweep", "balance_check")
"""The same, by their folders."""
SECRETS = tuple(f"{title}Secret" for title in TITLES.values())
ENDPOINTS = tuple(f"{title}Endpoint" for title in TITLES.values())
