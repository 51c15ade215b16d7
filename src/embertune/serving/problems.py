"""What went wrong, as OpenAI says it: a status, and an object with message, type, param and code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ApiError", "bad_request"]

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: Of HTTP, 400 to 599.
        message: For a person; holds no text of the request and no key.
        type: OpenAI's kind of error; by default the one that goes with the status.
        param: The field that is wrong.
        code: For a program.
        headers: To send along, such as retry-after.

    Example:
        >>> ApiError(429, "Slow down.").body()
        {'error': {'message': 'Slow down.', 'type': 'rate_limit_error', 'param': None, 'code': None}}
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.type = type or _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Give the answer's JSON."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def bad_request(message: str, param: str | None = None, *, code: str | None = None) -> ApiError:
    """Give the error of a request that can never succeed as it is.

    Example:
        >>> bad_request("There is no input.", "input").status
        400
    """
    return ApiError(400, message, param=param, code=code)
