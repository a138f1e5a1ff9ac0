"""An endpoint that receives signed webhooks, and trusts only the standard's own library."""

from __future__ import annotations

from standardwebhooks import Webhook, WebhookVerificationError

from tests.fakes import Answer, Call, Fake


class WebhookSink(Fake):
    """Answers 204 to what is signed with a secret it trusts, 401 to the rest.

    While it trusts none, it takes everything.
    `requests` is what it took, `refused` what it did not.
    """

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        self.requests: list[Call] = []
        self.refused: list[Call] = []
        self._verifiers = [Webhook(secret) for secret in secrets]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.base_url}/hook"

    @property
    def ids(self) -> list[str]:
        """The `webhook-id` of everything taken, in order, repeats included."""
        return [call.headers["webhook-id"] for call in self.requests]

    def trust(self, secret: str) -> None:
        """Take what is signed with this secret (`whsec_…`) as well."""
        self._verifiers.append(Webhook(secret))

    def handle(self, call: Call) -> Answer:
        if self._verifiers and not any(_verifies(verifier, call) for verifier in self._verifiers):
            self.refused.append(call)
            return Answer(401)
        self.requests.append(call)
        return Answer(204)


def _verifies(verifier: Webhook, call: Call) -> bool:
    try:
        verifier.verify(call.body, call.headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        return False
    return True
