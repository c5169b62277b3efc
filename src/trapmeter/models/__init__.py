"""Networks' contracts: what goes in, how it is made, and the files that carry weights with it."""
