"""Who is told: a real HTTP server and a real SMTP server, small enough to read."""

import asyncio
import base64
import contextlib
import dataclasses
import email
import email.policy
import http.server
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage


@dataclasses.dataclass
class Posted:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes


class HttpReceiver:
    """Takes POSTs, and answers with the statuses that are given, the last one for ever."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.statuses = [204]
        self.location = ""
        self.silent = False
        self.release = threading.Event()
        self.arrived = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.arrived:
                    receiver.posted.append(Posted(self.path, dict(self.headers), body))
                    receiver.arrived.notify_all()
                if receiver.silent:
                    receiver.release.wait(10)
                    return
                several = len(receiver.statuses) > 1
                status = receiver.statuses.pop(0) if several else receiver.statuses[0]
                self.send_response(status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def await_posts(self, count: int) -> None:
        """Wait until so many POSTs arrived."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posted) >= count, 20)

    @contextlib.contextmanager
    def serving(self) -> Iterator["HttpReceiver"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            self.release.set()
            self._server.shutdown()
            thread.join(10)
            self._server.server_close()


class SmtpReceiver:
    """Takes mails; `refuses` are addresses that it does not want."""

    def __init__(self, encrypted: ssl.SSLContext | None = None) -> None:
        self.encrypted = encrypted
        self.starts_plain = False
        self.extensions = b"250-fine\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"
        self.logins: list[str] = []
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuses: set[str] = set()
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["SmtpReceiver"]:
        at_once = None if self.starts_plain else self.encrypted
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=at_once)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        recipients: list[str] = []
        while line := (await reader.readline()).decode().strip():
            word = line[:4].upper()
            if word == "EHLO":
                writer.write(self.extensions)
                continue
            if word == "STAR":
                writer.write(b"220 go on\r\n")
                assert self.encrypted is not None
                try:
                    await writer.start_tls(self.encrypted)
                except ssl.SSLError:  # the other side does not trust us
                    return
                continue
            if word == "AUTH":
                self.logins.append(base64.b64decode(line.split()[-1]).decode())
                writer.write(b"235 welcome\r\n")
                continue
            if word == "RCPT":
                address = line.partition("<")[2].partition(">")[0]
                if address in self.refuses:
                    writer.write(b"550 nobody\r\n")
                    continue
                recipients.append(address)
            if word == "DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                made = email.message_from_bytes(data[:-5], policy=email.policy.default)
                assert isinstance(made, EmailMessage)
                self.mails.append(made)
                self.recipients.append(recipients)
            writer.write(b"221 bye\r\n" if word == "QUIT" else b"250 fine\r\n")
            if word == "QUIT":
                break
        await writer.drain()
        writer.close()
