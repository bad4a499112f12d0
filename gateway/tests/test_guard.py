"""Who may knock at a server that asks for no key."""

import pytest
from gateway.tests.serving import serving

from callsheet import ConfigurationError
from callsheet_gateway import GatewaySettings

PAGE = "http://localhost:5173"


@pytest.mark.parametrize(
    "host", ["localhost:4000", "localhost.", "LOCALHOST", "127.0.0.1", "[::1]:4000", "0.0.0.0:4000", "app.localhost:1"]
)
def test_addresses_of_this_machine_are_answered(gateway, host):
    with gateway.http() as http:
        assert http.get("/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "[::1]evil.example",
        "127.0.0.1:80@evil.example",
        "localhost:1:1",
        "[evil]",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:4000",
        "",
    ],
)
def test_a_name_that_points_here_is_not(gateway, host):
    with gateway.http() as http:
        answer = http.get("/models", headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "bad_host")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", PAGE])
def test_pages_of_others_may_not_call(gateway, origin):
    """A browser sends a form to any address without asking first: it must not start paid work."""
    with gateway.http() as http:
        answer = http.post("/videos", data={"prompt": "a"}, files={"x": b""}, headers={"origin": origin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "bad_origin")
        asked = http.options("/videos", headers={"origin": origin, "access-control-request-method": "POST"})
        assert asked.status_code == 403
        assert not [name for name in [*answer.headers, *asked.headers] if name.startswith("access-control")]


def test_our_own_page_may(gateway):
    with gateway.http() as http:
        assert http.get("/models", headers={"origin": gateway.root}).status_code == 200


def test_cors_lets_a_page_in(tmp_path):
    with serving(tmp_path / "data", "--cors-origin", PAGE) as gateway, gateway.http() as http:
        asked = http.options(
            "/realtime/calls",
            headers={
                "origin": PAGE,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type,x-stainless-os",
            },
        )
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert "authorization" in asked.headers["access-control-allow-headers"]
        answer = http.get("/models", headers={"origin": PAGE})
        assert "location" in answer.headers["access-control-expose-headers"]
        refused = http.get("/models", headers={"origin": "http://localhost:9999"})
        assert refused.status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_it_refuses_to_listen_elsewhere(host):
    with pytest.raises(ConfigurationError, match="is not a loopback address"):
        GatewaySettings(host=host)


@pytest.mark.parametrize("origin", ["*", "localhost:5173", "http://x/y", "http://*.example", "ftp://x", "http://"])
def test_what_an_origin_is(origin):
    with pytest.raises(ConfigurationError, match="an origin is wanted"):
        GatewaySettings(cors_origins=(origin,))
