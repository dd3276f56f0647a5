"""Build and run the objects that the settings describe."""
