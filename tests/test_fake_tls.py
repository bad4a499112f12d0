"""The fake upstream over TLS: what it serves there is the same, and its faults are, too."""

import ssl

import httpx
import pytest
from tests.faults.certificates import Authority

from callsheet.testing import FAKE_KEY, FakeUpstream, Fault

AUTH = {"authorization": f"Bearer {FAKE_KEY}"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def test_served_over_tls(authority):
    fake = FakeUpstream()
    trust = ssl.create_default_context(cafile=authority.file)
    with fake.serve(tls=authority.server()) as url, httpx.Client(verify=trust, headers=AUTH) as client:
        assert url.startswith("https://127.0.0.1:")
        assert client.get(f"{url}/videos").json()["data"] == []
        assert client.post(f"{url}/videos", json={"prompt": "a cat"}).status_code == 200
        assert fake.connections == 1
        fault = fake.fail(None, Fault.reset_before_headers(after_accept=True))
        with pytest.raises(httpx.TransportError):
            client.post(f"{url}/videos", json={"prompt": "a cat"})
    assert [happened.begun for happened in fault.happened] == [1]
    assert len(fake.book.accepted("video")) == 2
    assert not fake.problems
    assert fake.connections == 0


@pytest.mark.parametrize(
    ("host", "expired", "words"), [("elsewhere.example", False, "IP address mismatch"), ("127.0.0.1", True, "expired")]
)
def test_bad_certificates_are_bad_in_the_one_way_that_is_meant(authority, host, expired, words):
    fake = FakeUpstream()
    trust = ssl.create_default_context(cafile=authority.file)
    with fake.serve(tls=authority.server(host=host, expired=expired)) as url, httpx.Client(verify=trust) as client:
        with pytest.raises(httpx.ConnectError, match=words):
            client.get(f"{url}/videos")
    assert not fake.seen
    assert not fake.problems
