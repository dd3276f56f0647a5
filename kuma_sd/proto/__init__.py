"""The messages on the wire; the modules in here are compiled from proto/ when the package is built."""
