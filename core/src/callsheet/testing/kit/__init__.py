"""The conformance kit: 51 checks that any provider is held to. See `ProviderTests`."""
