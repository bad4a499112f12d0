"""Whose price counts: the operator's, what the operator says a model is, or - at the vendor's own address - the vendor's."""

from __future__ import annotations

import pytest

from callsheet_gateway import make_client
from callsheet_gateway.ledger.prices import Prices

KEY = "sk-of-nobody-0123456789"
ELSEWHERE = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("params", "info", "eight_seconds"),
    [
        ({}, {}, 800_000),
        ({"api_base": "https://api.openai.com/v1/"}, {}, 800_000),
        ({"api_base": ELSEWHERE}, {}, None),  # a server that speaks the vendor's wire has prices of its own
        ({"api_base": ELSEWHERE}, {"base_model": "sora-2"}, 800_000),
        ({"api_base": ELSEWHERE}, {"base_model": "sora-3-of-tomorrow"}, None),
        ({"api_base": ELSEWHERE, "output_cost_per_video_per_second": 0.02}, {}, 160_000),
        ({"api_base": ELSEWHERE}, {"output_cost_per_video_per_second": "0.02"}, 160_000),
    ],
)
def test_whose_price_counts(params: dict[str, object], info: dict[str, object], eight_seconds: int | None) -> None:
    entry = {
        "model_name": "film",
        "litellm_params": {"model": "openai/sora-2", "api_key": KEY, **params},
        "model_info": info,
    }
    client = make_client({"model_list": [entry]})
    prices, [deployment] = Prices(client.router), client.router.models.deployments("film")
    by_row = prices.at("openai", deployment.account.id, "sora-2")
    for price in (prices.of(deployment), by_row):
        assert (price and price.video("8", "1280x720")) == eight_seconds
