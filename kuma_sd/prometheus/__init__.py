"""What Prometheus prescribes: labels, matchers, regular expressions, shards, files."""
