"""From a call to the account that shall do it, and back: ids, model names, attempts."""

from callsheet.routing.accounts import Accounts
from callsheet.routing.record import CallRecord
from callsheet.routing.router import Deployment, Ids, Router

__all__ = ["Accounts", "CallRecord", "Deployment", "Ids", "Router"]
