"""Reports of runs and of density analyses, as self-contained HTML files or PDF."""
