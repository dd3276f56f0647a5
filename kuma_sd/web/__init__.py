"""What the daemon serves over HTTP, and how its own commands ask for it."""
