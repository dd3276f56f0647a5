"""The daemon's HTTP server, and the client that its commands use."""
