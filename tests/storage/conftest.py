"""The servers of these tests."""

from storage_servers import proxy, s3_server, upload, web

__all__ = ["proxy", "s3_server", "upload", "web"]
