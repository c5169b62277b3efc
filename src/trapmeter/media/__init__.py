"""Videos and photos in, pictures at given seconds out."""
