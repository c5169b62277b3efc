"""Detection functions: how the chance of detecting an animal falls with its distance, and how they are fitted."""
