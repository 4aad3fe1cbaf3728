"""What the Bot API says when it says no."""

from __future__ import annotations

from typing import Any


class RefusalError(Exception):
    """A call that Telegram would not carry out; `status` is both HTTP status and error_code."""

    def __init__(
        self, status: int, description: str, parameters: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{status} {description}")
        self.status = status
        self.description = description
        self.parameters = parameters

    def body(self) -> dict[str, Any]:
        """Return the JSON body that goes with the status."""
        answer: dict[str, Any] = {
            "ok": False,
            "error_code": self.status,
            "description": self.description,
        }
        if self.parameters:
            answer["parameters"] = self.parameters
        return answer


def bad_request(reason: str) -> RefusalError:
    """Return the refusal of a malformed or impossible call."""
    return RefusalError(400, f"Bad Request: {reason}")


def too_many_requests(retry_after: int) -> RefusalError:
    """Return the refusal of a call that came too early; `retry_after` in seconds."""
    return RefusalError(
        429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after}
    )
