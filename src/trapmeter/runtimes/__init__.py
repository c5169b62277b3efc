"""What runs a bundle's network: windows in, metres out."""
