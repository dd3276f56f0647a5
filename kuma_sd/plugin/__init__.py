"""The interfaces that plugins implement, and the manager that finds and loads plugins."""
