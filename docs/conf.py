"""How Sphinx builds the documentation; `script/docs` calls it."""

import sys
from pathlib import Path

from kuma_sd import __version__

sys.path.insert(0, str(Path(__file__).parent))

import reference

reference.write()

project = "kuma-sd"
author = "the authors of kuma-sd"
project_copyright = author
version = release = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
# Headings can be linked to as on any forge, and a link that leads nowhere is an error under -W.
myst_heading_anchors = 4
exclude_patterns = ["_build"]
nitpicky = True
html_theme = "furo"
html_title = f"kuma-sd {version}"
# Nothing from elsewhere: the pages are whole where there is no internet.
html_theme_options = {"source_view_link": "", "source_edit_link": ""}
html_show_sphinx = False
html_copy_source = False
