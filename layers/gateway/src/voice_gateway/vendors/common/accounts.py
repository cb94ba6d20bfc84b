"""What this deployment sets for each vendor: endpoint, hours, cap and credentials."""

from functools import cached_property

from voice_gateway import vendors
from voice_gateway.model.errors import AwsUnavailable, UnreadableSecret
from voice_gateway.model.hours import Window
from voice_gateway.platform.secrets import Secrets
from voice_gateway.platform.settings import Settings, VendorSettings
from voice_gateway.vendors.common.base import Credentials, Vendor
from voice_gateway.vendors.common.exchange import over
from voice_gateway.vendors.common.http import Exchange


class Account:
    """One vendor's settings and credentials. A wrong setting raises SettingsError when it is first needed."""

    def __init__(self, vendor: Vendor, settings: Settings, secrets: Secrets) -> None:
        self.vendor = vendor
        self._deployment = settings
        self._secrets = secrets

    @cached_property
    def _settings(self) -> VendorSettings:
        return self._deployment.vendor(self.vendor.name)

    @property
    def deployed(self) -> bool:
        """Whether the deployment has this vendor at all."""
        return self._deployment.has(self.vendor.name)

    @property
    def hours(self) -> Window:
        return self._settings.hours

    @property
    def daily_cap(self) -> int:
        """Calls to one number in 24 hours; 0: no cap."""
        return self._settings.daily_cap

    @property
    def low_credit(self) -> str:
        """Below this much credit an alarm is raised."""
        return self._settings.low_credit

    def credentials(self, *, anew: bool = False) -> Credentials | None:
        """The secret's fields, or None if they are not filled in. ``anew`` asks past the cache.

        Raises AwsUnavailable, UnreadableSecret.
        """
        if not self.deployed:
            return None
        return self._secrets.fields(self._settings.secret, self.vendor.credentials, anew=anew)

    def changed_credentials(self, refused: Credentials) -> Credentials | None:
        """The secret, read past the cache: None if it still holds what was refused, or cannot be read."""
        try:
            fresh = self.credentials(anew=True)
        except (AwsUnavailable, UnreadableSecret):
            return None
        return fresh if fresh != refused else None

    def exchange(self) -> Exchange:
        """Carries one request at a time to the vendor's endpoint, each within the deadline."""
        return over(self._settings.endpoint, self._deployment.vendor_deadline_seconds)


class Accounts:
    """The accounts, by the vendor's name. One a process."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self._accounts: dict[str, Account] = {}

    def __getitem__(self, name: str) -> Account:
        if name not in self._accounts:
            self._accounts[name] = self._made(vendors.vendor(name))
        return self._accounts[name]

    def _made(self, vendor: Vendor) -> Account:
        return Account(vendor, self._settings, self._secrets)
