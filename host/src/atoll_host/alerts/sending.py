"""Sends one message to one target: a POST to a webhook, or an e-mail.

Called by `delivering` and by the API, which tries rules. The standard library does the work, in
threads with timeouts. Only addresses that the operator configured are called, and redirects are not
followed. What goes wrong is told in words of our own: neither addresses nor answers are repeated,
since both may hold secrets.

A message to a webhook is JSON, and signed where there is a secret:

    X-Atoll-Delivery: <id of the delivery, the same for every try>
    X-Atoll-Signature-256: sha256=<HMAC-SHA256 of the body, as hex>
"""

import asyncio
import datetime as dt
import email.message
import email.utils
import hashlib
import hmac
import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from typing import IO

from atoll.api.v1 import alerts_pb2
from atoll_host.alerts import rules, secret_values

SIGNATURE_HEADER = "X-Atoll-Signature-256"
DELIVERY_HEADER = "X-Atoll-Delivery"
_OVERALL = 3.0
"""All of one try may take so many times as long as each wait in it."""
_REDIRECTS = range(300, 400)


class SendFailed(Exception):
    """The other side did not take the message. The message says why, without secrets."""


async def send(
    target: rules.Target, alert: alerts_pb2.Alert, delivery_id: str, *, timeout_s: float
) -> None:
    """Send a message; return once the other side has taken it.

    Raises:
        SendFailed: It has not, or nobody knows.
    """
    try:
        async with asyncio.timeout(timeout_s * _OVERALL):
            await asyncio.to_thread(_send, target, alert, delivery_id, timeout_s)
    except TimeoutError:
        raise SendFailed(f"nothing was answered within {timeout_s * _OVERALL:g} s") from None


def content_of(alert: alerts_pb2.Alert, delivery_id: str) -> bytes:
    """Return the body of a POST."""
    made = alert.create_time.ToDatetime(dt.UTC)
    document = {
        "delivery_id": delivery_id,
        "alert_id": alert.alert_id,
        "rule": alert.rule,
        "subject": alert.subject,
        "time": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "title": alert.title,
        "body": alert.body,
        "suppressed_count": alert.suppressed_count,
        "event_id": alert.event_id,
        # What chat programs show of a webhook.
        "text": f"{alert.title}\n{alert.body}",
    }
    return json.dumps(document, ensure_ascii=False).encode()


def signature_of(secret: str, body: bytes) -> str:
    """Return the signature of a body, as the header has it."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def _send(
    target: rules.Target, alert: alerts_pb2.Alert, delivery_id: str, timeout_s: float
) -> None:
    try:
        if isinstance(target, rules.Webhook):
            _post(target, alert, delivery_id, timeout_s)
        else:
            _mail(target, alert, delivery_id, timeout_s)
    except secret_values.SecretMissing as error:
        raise SendFailed(str(error)) from None
    except (smtplib.SMTPException, http.client.HTTPException, OSError, ValueError) as error:
        raise SendFailed(_told(error)) from None


def _post(
    target: rules.Webhook, alert: alerts_pb2.Alert, delivery_id: str, timeout_s: float
) -> None:
    url = secret_values.url_of(target)
    body = content_of(alert, delivery_id)
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310 - http(s), checked
    request.add_header("Content-Type", "application/json")
    request.add_header("User-Agent", "atoll-host")
    request.add_header(DELIVERY_HEADER, delivery_id)
    secret = secret_values.read(target.secret_env, target.secret_file)
    if secret:
        request.add_header(SIGNATURE_HEADER, signature_of(secret, body))
    with _OPENER.open(request, timeout=timeout_s):
        pass


def _mail(target: rules.Email, alert: alerts_pb2.Alert, delivery_id: str, timeout_s: float) -> None:
    message = email.message.EmailMessage()
    message["From"] = target.sender
    message["To"] = ", ".join(target.to)
    message["Subject"] = alert.title
    message["Date"] = email.utils.format_datetime(alert.create_time.ToDatetime(dt.UTC))
    # The same for every try, so that a mailbox can tell repeats.
    message["Message-ID"] = f"<{delivery_id}@atoll>"
    message[DELIVERY_HEADER] = delivery_id
    message.set_content(alert.body)
    with _connection(target, timeout_s) as connection:
        if target.user:
            password = secret_values.read(target.password_env, target.password_file)
            connection.login(target.user, password)
        refused = connection.send_message(message)
    if refused:
        raise SendFailed(f"the mail server refused {len(refused)} of the addresses")


def _connection(target: rules.Email, timeout_s: float) -> smtplib.SMTP:
    if target.tls == "none":
        return smtplib.SMTP(target.host, target.port, timeout=timeout_s)
    trusted = ssl.create_default_context(cafile=target.ca_file)
    if target.tls == "tls":
        return smtplib.SMTP_SSL(target.host, target.port, timeout=timeout_s, context=trusted)
    connection = smtplib.SMTP(target.host, target.port, timeout=timeout_s)
    try:
        connection.starttls(context=trusted)
    except BaseException:
        connection.close()
        raise
    return connection


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Lets an answer that leads elsewhere be the error that it is."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _told(error: BaseException) -> str:
    """Say what went wrong, in words that hold no address and nothing of an answer."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        if error.code in _REDIRECTS:
            return f"the answer had status {error.code}; redirects are not followed"
        return f"the answer had status {error.code}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answered with {error.smtp_code} ({type(error).__name__})"
    if isinstance(error, smtplib.SMTPException) or not isinstance(error, OSError):
        return f"the message could not be handed over ({type(error).__name__})"
    return _reason(error.reason if isinstance(error, urllib.error.URLError) else error)


def _reason(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "nothing was answered in time"
    if isinstance(reason, ssl.SSLError):
        return "the encrypted connection failed: the certificate or the protocol does not fit"
    if isinstance(reason, OSError) and reason.strerror:
        return f"no connection: {reason.strerror}"
    return f"no connection ({type(reason).__name__})"
