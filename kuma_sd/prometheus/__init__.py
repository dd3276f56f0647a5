"""Formats and rules of Prometheus: labels, matchers, regular expressions, shards, files."""
