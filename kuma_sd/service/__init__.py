"""The process: signals, systemd, reload, HTTP application."""
