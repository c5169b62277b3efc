"""Videos and photos: finding them, opening them, and decoding frames at given seconds."""
