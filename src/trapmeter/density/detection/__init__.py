"""Detection functions: how the chance of detecting an animal falls with distance, fitted and selected."""
