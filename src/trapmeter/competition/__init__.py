"""The 2nd-place system of the DrivenData competition 'Deep Chimpact', from the competition's files to a submission."""
