"""Status, history, metrics and explanations as data; other packages render them."""
