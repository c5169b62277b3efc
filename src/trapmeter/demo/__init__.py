"""Twelve rendered clips with exact distances, and the run over them."""
