"""One module for each command, imported when its command is given; see `kuma_sd.cli.main`."""
