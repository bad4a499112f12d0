"""The gateway: OpenAI's HTTP interface over provider plugins. `callsheet serve` starts it; `make_app` is its ASGI app."""

from callsheet_gateway.app import make_app
from callsheet_gateway.config import make_client, read_config
from callsheet_gateway.settings import GatewaySettings

__all__ = ["GatewaySettings", "make_app", "make_client", "read_config"]
