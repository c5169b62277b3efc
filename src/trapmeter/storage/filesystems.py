"""The fsspec file system for each kind of address, and the meaning of its errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from trapmeter.errors import MissingExtraError
from trapmeter.storage.address import BUCKET_SCHEMES, RemotePath

CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10, 30
"""Seconds without a reply after which a connection counts as broken."""

PACKAGES = {
    "s3": ("s3fs", "cloud"),
    "gs": ("gcsfs", "gcs"),
    "https": ("aiohttp", "cloud"),
    "http": ("aiohttp", "cloud"),
}
"""For each scheme, the package that reads its addresses and the extra that installs it."""

SELF_RETRYING = frozenset({"gs"})
"""Schemes whose package retries on its own, which can't be switched off."""

_lock = threading.Lock()


def filesystem(scheme: str) -> Any:
    """The file system for a scheme, made once in each process.

    Raises:
        MissingExtraError: its package is not installed.
    """
    with _lock:
        return _make_filesystem(scheme)


def forget() -> None:
    """Discards all file systems; the next ones take the credentials that the environment has then."""
    with _lock:
        _make_filesystem.cache_clear()


@lru_cache
def _make_filesystem(scheme: str) -> Any:
    package, extra = PACKAGES[scheme]
    try:
        import fsspec

        __import__(package)
    except ImportError:
        raise MissingExtraError(package, extra) from None
    # Their warnings quote addresses and requests, and trapmeter reports what failed.
    for name in ("s3fs", "gcsfs", "fsspec", "aiobotocore", "botocore"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return {"s3": _s3, "gs": _gs, "http": _web, "https": _web}[scheme](fsspec)


def _s3(fsspec: Any) -> Any:
    from botocore.session import Session

    # Only trapmeter retries: each of its tries would otherwise contain all those of both packages.
    config = {
        "retries": {"total_max_attempts": 1},
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
    }
    # Without credentials, public buckets can be read.
    is_anonymous = Session().get_credentials() is None
    filesystem = fsspec.filesystem(
        "s3", anon=is_anonymous, use_listings_cache=False, skip_instance_cache=True, config_kwargs=config
    )
    filesystem.retries = 1
    return filesystem


def _gs(fsspec: Any) -> Any:
    return fsspec.filesystem("gs", use_listings_cache=False, skip_instance_cache=True)


def _web(fsspec: Any) -> Any:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=READ_TIMEOUT_S)
    # trust_env: proxies and ~/.netrc.
    return fsspec.filesystem(
        "https",
        simple_links=False,
        use_listings_cache=False,
        skip_instance_cache=True,
        get_client=_client,
        client_kwargs={"timeout": timeout, "trust_env": True},
    )


async def _client(**kwargs: Any) -> Any:
    """A session that refuses redirects from https to http."""
    import aiohttp

    async def check_redirect(_: Any, __: Any, params: Any) -> None:
        target = params.response.headers.get("Location", "")
        if params.url.scheme == "https" and target.lower().startswith("http:"):
            raise RemoteError(f"{params.url.origin()} leads to an address that is not encrypted; it is not followed")

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(check_redirect)
    return aiohttp.ClientSession(trace_configs=[trace], **kwargs)


class RemoteError(OSError):
    """A remote file can't be read or written; the text says why and what to do. is_transient: another try may work."""

    def __init__(self, text: str, *, is_transient: bool = False) -> None:
        super().__init__(text)
        self.is_transient = is_transient


class RemoteMissingError(RemoteError, FileNotFoundError):
    """There is no such bucket or file."""


CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or ~/.aws",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`",
    "https": "~/.netrc",
    "http": "~/.netrc",
}
"""Where each kind of storage looks for credentials."""

_CREDENTIAL_CODES = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken"),
        *("TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClientException", "RequestTimeTooSkewed"),
        *("AuthorizationHeaderMalformed", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        *("ProfileNotFound", "RefreshError", "DefaultCredentialsError", "TokenRetrievalError", "SSOTokenLoadError"),
    }
)
_INVALID_CODES = frozenset({"ParamValidationError", "InvalidBucketName"})
_THROTTLING_CODES = frozenset(
    {"SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded", "Throttling", "503"}
)
_TRANSIENT_CODES = _THROTTLING_CODES | {"InternalError", "RequestTimeout", "OperationAborted", "500", "502", "504"}


def explain_error(error: BaseException, address: RemotePath) -> RemoteError:
    """The error of a storage library, explained to the user."""
    chain = list(_chain(error))
    s3_codes = [code for link in chain if (code := _s3_code(link))]
    codes = [*s3_codes, *(type(link).__name__ for link in chain)]
    statuses = [status for link in chain if (status := _status(link)) is not None]
    where = f"the bucket {address.origin}" if address.scheme in BUCKET_SCHEMES else address.origin
    if "NoSuchBucket" in codes:
        return RemoteMissingError(
            f"there is no bucket {address.origin}; check its name, and the endpoint if you set one"
        )
    if wrong := next((code for code in codes if code in _CREDENTIAL_CODES), None):
        return RemoteError(
            f"{address}: the credentials are missing or refused ({wrong}); check {CREDENTIALS[address.scheme]}"
        )
    if _INVALID_CODES.intersection(codes) or isinstance(error, ValueError):
        return RemoteError(f"{address}: no such address is possible; check the name of the bucket")
    if any(status in (401, 403) for status in statuses) or any(isinstance(link, PermissionError) for link in chain):
        return RemoteError(
            f"{address}: access is denied; the credentials, if there are any ({CREDENTIALS[address.scheme]}), need the "
            f"permission to list and read {where}, or to write where results go there"
        )
    if _TRANSIENT_CODES.intersection(codes) or any(status == 429 or status >= 500 for status in statuses):
        code = next((code for code in codes if code in _TRANSIENT_CODES), None) or str(statuses[0])
        state = (
            "asks for fewer requests"
            if _THROTTLING_CODES.intersection(codes) or 429 in statuses
            else "has an error of its own"
        )
        return RemoteError(f"{address}: the server {state} ({code}); try again later", is_transient=True)
    if 404 in statuses or (any(isinstance(link, FileNotFoundError) for link in chain) and not _is_disconnected(chain)):
        return RemoteMissingError(f"there is nothing at {address}; check the name, capitals matter")
    if statuses:
        return RemoteError(f"{address}: the server refuses with {' '.join([*s3_codes[:1], f'status {statuses[0]}'])}")
    if isinstance(error, RemoteError):
        return error
    return RemoteError(
        f"{address}: no connection to {where}, or it broke off ({type(_root(chain)).__name__}); check the network and the "
        "endpoint, and try again",
        is_transient=True,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, followed by those that caused it."""
    for _ in range(_MAX_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


_MAX_CHAIN = 10


def _root(chain: list[BaseException]) -> BaseException:
    """The first cause that is no FileNotFoundError, as which a library may disguise it."""
    return next((link for link in chain if not isinstance(link, FileNotFoundError)), chain[0])


def _is_disconnected(chain: list[BaseException]) -> bool:
    """Whether the server was out of reach, which fsspec reports as a missing file."""
    return any(type(link).__module__.partition(".")[0] == "aiohttp" or isinstance(link, TimeoutError) for link in chain)


def _s3_code(error: BaseException) -> str:
    """S3's code of an error, which botocore keeps; "" for other errors."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _status(error: BaseException) -> int | None:
    """The HTTP status of the server's reply, which botocore, aiohttp or gcsfs keeps."""
    response = getattr(error, "response", None)
    package = type(error).__module__.partition(".")[0]
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif package == "aiohttp":
        # If the connection broke, aiohttp's own `code` is only a guess.
        status = getattr(error, "status", None) if hasattr(error, "request_info") else None
    else:
        status = getattr(error, "code", None) if package == "gcsfs" else None
    return status if isinstance(status, int) and status >= 300 else None
