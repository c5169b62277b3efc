"""Work in parallel: worker processes, shards and Ray actors. Ray is imported only here, and only on request."""
