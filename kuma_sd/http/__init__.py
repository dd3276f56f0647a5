"""HTTP client for sources: addresses, TLS, proxies, credentials."""
