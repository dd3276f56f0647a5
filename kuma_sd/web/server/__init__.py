"""Listeners: TCP and the control socket, TLS, authentication, access control."""
