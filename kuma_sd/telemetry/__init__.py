"""What operators see, as data."""
