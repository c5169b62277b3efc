"""Twelve rendered clips with exact distances, and a comparison of all distance methods on them."""
