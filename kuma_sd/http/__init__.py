"""Asking over HTTP, for any source."""
