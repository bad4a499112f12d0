"""From a call to the account that shall do it, and back: ids, model names, groups of deployments, attempts."""

from callsheet.routing.accounts import Accounts
from callsheet.routing.deployment import Deployment
from callsheet.routing.directory import Directory, Ids
from callsheet.routing.models import Models
from callsheet.routing.policy import Routing
from callsheet.routing.record import CallRecord
from callsheet.routing.router import Router

__all__ = ["Accounts", "CallRecord", "Deployment", "Directory", "Ids", "Models", "Router", "Routing"]
