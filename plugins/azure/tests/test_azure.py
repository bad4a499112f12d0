"""What differs from OpenAI: the address and the key."""

from callsheet import Client


def test_azure_has_its_own_address_and_key(upstream):
    root = upstream.url.removesuffix("/v1")
    for base in (root, f"{root}/openai", f"{root}/openai/v1", f"{root}/openai/v1/"):
        with Client("azure/my-deployment", api_key="key", base_url=base) as client:
            client.generate_video(prompt="a cat")
        _, path, headers, body = upstream.seen[-1]
        assert path == "/openai/v1/videos"
        assert headers["api-key"] == "key"
        assert "authorization" not in {name.lower() for name in headers}
        assert b'name="model"\r\n\r\nmy-deployment\r\n' in body


def test_the_account_id_is_the_same_for_all_spellings_of_an_azure_address():
    ids = {
        Client("azure/d", api_key="k", base_url=base).accounts.default().id
        for base in ("https://r.openai.azure.com", "https://r.openai.azure.com/openai/v1/")
    }
    assert len(ids) == 1
