"""The operating system: files, locks, logs, threads, systemd."""
