"""The 2nd-place system of Deep Chimpact: from the competition's files to a submission."""
