"""Files that are not on this machine: buckets of object storage, and web servers. fsspec is known here alone."""
