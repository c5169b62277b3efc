"""What a server's refusals mean, in words that say what to do. No text of a server is passed on: it could quote a key."""

from __future__ import annotations

from collections.abc import Iterator

from trapmeter.storage.address import BUCKETS, RemotePath


class RemoteError(OSError):
    """A remote file can't be read or written; the text says why and what to do. may_pass: it may work when tried again."""

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class RemoteMissingError(RemoteError, FileNotFoundError):
    """There is no such bucket or file."""


CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or ~/.aws",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or `gcloud auth application-default login`",
    "https": "~/.netrc",
    "http": "~/.netrc",
}
"""Where each kind of storage looks for credentials."""

_WRONG_CREDENTIALS = frozenset(
    {
        *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken"),
        *("TokenRefreshRequired", "InvalidClientTokenId", "UnrecognizedClientException", "RequestTimeTooSkewed"),
        *("AuthorizationHeaderMalformed", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
        *("ProfileNotFound", "RefreshError", "DefaultCredentialsError", "TokenRetrievalError", "SSOTokenLoadError"),
    }
)
_IMPOSSIBLE = frozenset({"ParamValidationError", "InvalidBucketName"})
_TOO_MUCH = frozenset(
    {"SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded", "Throttling", "503"}
)
_MAY_PASS = _TOO_MUCH | {"InternalError", "RequestTimeout", "OperationAborted", "500", "502", "504"}


def explained(error: BaseException, address: RemotePath) -> RemoteError:
    """The error of a provider's library in our words."""
    chain = list(_chain(error))
    told = [code for one in chain if (code := _code(one))]
    codes = [*told, *(type(one).__name__ for one in chain)]
    statuses = [status for one in chain if (status := _status(one)) is not None]
    where = f"the bucket {address.origin}" if address.scheme in BUCKETS else address.origin
    if "NoSuchBucket" in codes:
        return RemoteMissingError(
            f"there is no bucket {address.origin}; check its name, and the endpoint if you set one"
        )
    if wrong := next((code for code in codes if code in _WRONG_CREDENTIALS), None):
        return RemoteError(
            f"{address}: the credentials are missing or refused ({wrong}); check {CREDENTIALS[address.scheme]}"
        )
    if _IMPOSSIBLE.intersection(codes) or isinstance(error, ValueError):
        return RemoteError(f"{address}: no such address is possible; check the name of the bucket")
    if any(status in (401, 403) for status in statuses) or any(isinstance(one, PermissionError) for one in chain):
        return RemoteError(
            f"{address}: access is denied; the credentials, if there are any ({CREDENTIALS[address.scheme]}), need the "
            f"permission to list and read {where}, or to write where results go there"
        )
    if _MAY_PASS.intersection(codes) or any(status == 429 or status >= 500 for status in statuses):
        code = next((code for code in codes if code in _MAY_PASS), None) or str(statuses[0])
        slow = (
            "asks for fewer requests" if _TOO_MUCH.intersection(codes) or 429 in statuses else "has an error of its own"
        )
        return RemoteError(f"{address}: the server {slow} ({code}); try again later", may_pass=True)
    if 404 in statuses or (any(isinstance(one, FileNotFoundError) for one in chain) and not _is_broken(chain)):
        return RemoteMissingError(f"there is nothing at {address}; check the name, capitals matter")
    if statuses:
        return RemoteError(f"{address}: the server refuses with {' '.join([*told[:1], f'status {statuses[0]}'])}")
    if isinstance(error, RemoteError):
        return error
    return RemoteError(
        f"{address}: no connection to {where}, or it broke off ({type(_root(chain)).__name__}); check the network and the "
        "endpoint, and try again",
        may_pass=True,
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    for _ in range(_DEEPEST):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


_DEEPEST = 10


def _root(chain: list[BaseException]) -> BaseException:
    """What a library made FileNotFoundError of."""
    return next((one for one in chain if not isinstance(one, FileNotFoundError)), chain[0])


def _is_broken(chain: list[BaseException]) -> bool:
    """Fsspec tells of a web server that it can't reach as of a file that isn't there."""
    return any(type(one).__module__.partition(".")[0] == "aiohttp" or isinstance(one, TimeoutError) for one in chain)


def _code(error: BaseException) -> str:
    """By which S3 names an error, as botocore keeps it; "" for others."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _status(error: BaseException) -> int | None:
    """The HTTP status that a server answered with, as botocore, aiohttp or gcsfs keeps it."""
    response = getattr(error, "response", None)
    package = type(error).__module__.partition(".")[0]
    if isinstance(response, dict):
        told = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif package == "aiohttp":
        # What aiohttp calls code is its own guess where a connection broke off.
        told = getattr(error, "status", None) if hasattr(error, "request_info") else None
    else:
        told = getattr(error, "code", None) if package == "gcsfs" else None
    return told if isinstance(told, int) and told >= 300 else None
