"""Models: what a network expects and predicts, its file, the registry and downloads."""
