"""Messages reach real receivers, signed, with one id; what goes wrong is told without secrets."""

import hashlib
import hmac
import json
import logging
import shutil
import socket
import ssl
import subprocess

import pytest

from atoll.api.v1 import alerts_pb2
from atoll_host.alerts import rules, sending
from tests.host.alerts import receivers

TOKEN = "xoxb-very-secret"


@pytest.fixture
def http():
    with receivers.HttpReceiver().serving() as receiver:
        yield receiver


@pytest.fixture
async def smtp():
    async with receivers.SmtpReceiver().serving() as receiver:
        yield receiver


def alert(**fields) -> alerts_pb2.Alert:
    values = {"alert_id": "a1", "rule": "r", "subject": "job:x", "title": "Ö failed", "body": "why"}
    made = alerts_pb2.Alert(**{**values, **fields})
    made.create_time.FromSeconds(1_700_000_000)
    return made


def webhook(url: str, **fields) -> rules.Webhook:
    return rules.Webhook(type="webhook", url=url, **fields)


def mail(port: int, **fields) -> rules.Email:
    values = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "atoll@example.org"}
    return rules.Email(
        type="email", **{**values, "to": ["a@example.org", "b@example.org"], **fields}
    )


async def send(target: rules.Target, *, timeout_s: float = 5.0, **fields) -> None:
    await sending.send(target, alert(**fields), "d1", timeout_s=timeout_s)


async def failure(target: rules.Target, *, timeout_s: float = 5.0) -> str:
    with pytest.raises(sending.SendFailed) as raised:
        await send(target, timeout_s=timeout_s)
    assert TOKEN not in repr(raised.value.__cause__ or "") + str(raised.value)
    return str(raised.value)


async def test_a_webhook_gets_json_with_the_id_of_the_delivery(http) -> None:
    await send(webhook(f"{http.url}/hook"), event_id=7, suppressed_count=2)
    (posted,) = http.posted
    document = json.loads(posted.body)
    assert posted.headers["X-Atoll-Delivery"] == document["delivery_id"] == "d1"
    assert posted.headers["Content-Type"] == "application/json"
    assert "X-Atoll-Signature-256" not in posted.headers
    assert document["text"] == "Ö failed\nwhy"
    assert document["time"] == "2023-11-14T22:13:20.000Z"
    assert (document["event_id"], document["suppressed_count"]) == (7, 2)


async def test_a_webhook_with_a_secret_is_signed(http, monkeypatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", TOKEN)
    await send(webhook(http.url, secret_env="HOOK_SECRET"))
    (posted,) = http.posted
    digest = hmac.new(TOKEN.encode(), posted.body, hashlib.sha256).hexdigest()
    assert posted.headers["X-Atoll-Signature-256"] == f"sha256={digest}"
    assert TOKEN not in str(posted.headers)
    assert TOKEN.encode() not in posted.body


async def test_an_address_is_read_anew_for_each_message(http, tmp_path) -> None:
    file = tmp_path / "url"
    target = rules.Webhook(type="webhook", url_file=str(file))
    assert "cannot be read" in await failure(target)
    file.write_text(f"{http.url}/{TOKEN}\n")
    await send(target)
    assert http.posted[0].path == f"/{TOKEN}"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_status_that_is_no_success_is_a_failure(http, status) -> None:
    http.statuses = [status]
    assert await failure(webhook(f"{http.url}/{TOKEN}")) == f"the answer had status {status}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(http, status) -> None:
    with receivers.HttpReceiver().serving() as elsewhere:
        http.statuses, http.location = [status], f"{elsewhere.url}/{TOKEN}"
        assert "redirects are not followed" in await failure(webhook(http.url))
        assert elsewhere.posted == []


async def test_a_receiver_that_says_nothing_is_given_up(http) -> None:
    http.silent = True
    assert await failure(webhook(http.url), timeout_s=0.2) == "nothing was answered in time"


async def test_a_receiver_that_is_not_there_is_told_without_its_address(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    told = await failure(webhook(f"http://127.0.0.1:{port}/{TOKEN}"))
    assert told == "no connection: Connection refused"
    assert TOKEN not in caplog.text
    told = await failure(webhook(f"https://nowhere.invalid/{TOKEN}"))
    assert told.startswith("no connection")


async def test_a_mail_arrives_at_all_with_one_id(smtp) -> None:
    await send(mail(smtp.port), body="why\n\n.\nit broke")
    (arrived,) = smtp.mails
    assert smtp.recipients == [["a@example.org", "b@example.org"]]
    assert arrived["Subject"] == "Ö failed"
    assert arrived["From"] == "atoll@example.org"
    assert arrived["To"] == "a@example.org, b@example.org"
    assert arrived["Message-ID"] == "<d1@atoll>"
    assert arrived["X-Atoll-Delivery"] == "d1"
    assert "it broke" in arrived.get_content()


async def test_a_title_cannot_add_headers(smtp) -> None:
    told = await failure_of_title(smtp, "x\r\nBcc: other@example.org")
    assert told == "the message could not be handed over (ValueError)"
    assert smtp.mails == []


async def failure_of_title(smtp, title: str) -> str:
    with pytest.raises(sending.SendFailed) as raised:
        await send(mail(smtp.port), title=title)
    return str(raised.value)


async def test_a_refused_address_is_a_failure(smtp) -> None:
    smtp.refuses = {"b@example.org"}
    assert await failure(mail(smtp.port)) == "the mail server refused 1 of the addresses"
    smtp.refuses = {"a@example.org", "b@example.org"}
    assert "SMTPRecipientsRefused" in await failure(mail(smtp.port))


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that nobody trusts unless told to, and its key."""
    files = [tmp_path / "certificate.pem", tmp_path / "key.pem"]
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout",
        files[1],
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return [str(file) for file in files]


@pytest.fixture(params=["tls", "starttls"])
async def encrypted(request, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    receiver = receivers.SmtpReceiver(context)
    receiver.starts_plain = request.param == "starttls"
    async with receiver.serving():
        yield receiver, request.param, certificate[0]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
async def test_an_encrypted_connection_takes_a_password(encrypted, monkeypatch) -> None:
    receiver, tls, certificate = encrypted
    monkeypatch.setenv("MAIL_PASSWORD", TOKEN)
    login = {"user": "u", "password_env": "MAIL_PASSWORD"}
    await send(mail(receiver.port, tls=tls, ca_file=certificate, **login))
    assert len(receiver.mails) == 1
    assert receiver.logins == [f"\0u\0{TOKEN}"]
    told = await failure(mail(receiver.port, tls=tls, **login))
    assert "certificate" in told
    assert len(receiver.logins) == 1


async def test_a_server_without_encryption_gets_no_password(monkeypatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", TOKEN)
    receiver = receivers.SmtpReceiver()
    receiver.extensions = b"250 fine\r\n"
    async with receiver.serving() as smtp:
        target = mail(smtp.port, tls="starttls", user="u", password_env="MAIL_PASSWORD")
        assert "SMTPNotSupportedError" in await failure(target)
    assert smtp.mails == smtp.logins == []
