"""Frame stores: the frames that training needs, decoded once."""
