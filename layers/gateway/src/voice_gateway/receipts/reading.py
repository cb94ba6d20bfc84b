"""Reads the receipts of a callback, one or several, each by itself."""

from collections.abc import Callable
from dataclasses import replace

from voice_gateway.model.errors import Unreadable
from voice_gateway.model.receipt import Receipt
from voice_gateway.model.request import valid_message_id
from voice_gateway.receipts.http import Pushed
from voice_gateway.vendors.common import decoding
from voice_gateway.vendors.common.base import Vendor
from voice_gateway.vendors.common.decoding import Fields

MOST_RECEIPTS = 100
"""In one push: what more would take is longer than a callback may. A larger push is kept raw, for a person."""


def receipts(
    vendor: Vendor, pushed: Pushed, hash_number: Callable[[str], str]
) -> tuple[list[Receipt], Unreadable | None]:
    """The receipts that can be read, and why the first of the others cannot.

    ``hash_number`` gives the hash that is stored in place of a number.
    """
    found: list[Receipt] = []
    unreadable: Unreadable | None = None
    for each in _entries(vendor, pushed):
        try:
            if isinstance(each, Unreadable):
                raise each
            receipt = vendor.read_callback(each)
            if not (receipt.call_id or vendor.callback_per_call):
                raise Unreadable("no call id")
        except (Unreadable, AttributeError, KeyError, TypeError, ValueError) as error:
            reason = error if isinstance(error, Unreadable) else Unreadable(type(error).__name__)
            unreadable = unreadable or reason
            continue
        number_hash = hash_number(receipt.mobile) if receipt.mobile else None
        message_id = valid_message_id(receipt.message_id) if vendor.echoes_message_id else None
        found.append(replace(receipt, number_hash=number_hash, message_id=message_id))
    return found, unreadable


def _entries(vendor: Vendor, pushed: Pushed) -> list[Fields | Unreadable]:
    try:
        objects = decoding.callbacks(pushed.body, pushed.content_type, pushed.query)
    except Unreadable as error:
        return [error]
    entries: list[Fields | Unreadable] = []
    for each in objects:
        try:
            if not isinstance(each, dict):
                raise Unreadable("not a JSON object")
            entries += vendor.entries(each) or [Unreadable("no receipts")]
        except Unreadable as error:
            entries.append(error)
    if len(entries) > MOST_RECEIPTS:
        return [Unreadable(f"over {MOST_RECEIPTS} receipts in one push")]
    return entries
