"""A real SMTP server on loopback that can refuse, hang and lose connections."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """What arrived, and how the server shall answer.

    `rcpt` and `data` are its answers to RCPT and DATA. It takes no mail that holds what is
    `unwanted`, nor one of more than `most` bytes. At the step named by `stop_at`
    ("EHLO", "RCPT", "DATA" or "QUIT") it calls `stop`, before it answers.
    """

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.rcpt = self.data = "250 OK"
        self.unwanted = b""
        self.most = 1_000_000
        self.drop_after_data = False
        self.stop_at = ""
        self.stop: Callable[[], object] = bool
        self.port = 0

    @property
    def ids(self) -> list[str]:
        return [str(message["Message-ID"]) for message in self.messages]

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def _reach(self, step: str) -> None:
        if self.stop_at == step:
            self.stop_at = ""
            self.stop()

    # The names are aiosmtpd's hooks.
    async def handle_EHLO(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        self._reach("EHLO")
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        envelope.mail_from = address
        size = int(options[0].partition("=")[2])
        return "250 OK" if size <= self.most else "552 5.3.4 Too big"

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        self._reach("RCPT")
        envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self._reach("DATA")
        content = envelope.original_content or b""
        if self.unwanted and self.unwanted in content:
            return "550 5.7.1 Unwanted"
        if self.data.startswith("250"):
            self.messages.append(message_from_bytes(content, policy=policy.default))
        if self.drop_after_data:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return self.data

    async def handle_QUIT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self._reach("QUIT")
        return "221 Bye"


@contextmanager
def open_mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    # The controller connects to the port that it was given: 0 would not do.
    with socket.create_server(("127.0.0.1", 0)) as free:
        mailbox.port = free.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
