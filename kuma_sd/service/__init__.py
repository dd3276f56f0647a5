"""The process: signals, systemd, reloading, and what it answers over HTTP."""
