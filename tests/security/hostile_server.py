"""A server on the loopback interface that can be as bad as it likes.

It speaks bytes, not HTTP: a script is given the raw streams of each connection.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def reply(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it stood on the wire."""

    head: bytes
    body: bytes

    @property
    def request_line(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0]

    @property
    def headers(self) -> dict[str, str]:
        """Lower-case names; a repeated header fails the test."""
        lines = self.head.decode("latin-1").rstrip("\r\n").split("\r\n")[1:]
        pairs = [line.split(": ", 1) for line in lines]
        names = [name.lower() for name, _ in pairs]
        assert len(set(names)) == len(names), names
        return {name.lower(): value for name, value in pairs}


class Connection:
    """What a script gets: the connection's number (from 0) and its two directions."""

    def __init__(
        self,
        server: HostileServer,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server = server
        self.number = number
        self.reader = reader
        self.writer = writer

    async def request(self) -> Received:
        """The next request; raises IncompleteReadError when the client hung up instead."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        received = Received(head, await self.reader.readexactly(length))
        self.server.requests.append(received)
        self.server.news.set()
        return received

    async def say(self, *parts: bytes, every: float = 0.0) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(every)

    async def say_for_ever(self, part: bytes, every: float = 0.0) -> None:
        while True:
            await self.say(part, every=every)

    def reset(self) -> None:
        """Close with a RST instead of a FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.writer.transport.abort()


Script = Callable[[Connection], Awaitable[None]]


@dataclass
class HostileServer:
    """What a test sees of the server: where it is and what has reached it."""

    port: int = 0
    scheme: str = "http"
    connections: int = 0
    requests: list[Received] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def received(self, count: int) -> None:
        """Wait until so many requests have come in."""
        while len(self.requests) < count:
            self.news.clear()
            await self.news.wait()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"


def answering(*replies: bytes) -> Script:
    """Answer each request with the next reply, the last one for ever; keep connections open."""
    left = list(replies)

    async def script(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.say(left.pop(0) if len(left) > 1 else left[0])

    return script


def answering_once(answer: bytes) -> Script:
    """Answer one request and hang up."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer)

    return script


@asynccontextmanager
async def hostile(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[HostileServer]:
    """A server that runs the script once for each connection, until the test is over."""
    state = HostileServer(scheme="http" if tls is None else "https")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(state, state.connections, reader, writer)
        state.connections += 1
        task = asyncio.current_task()
        assert task is not None
        state.tasks.add(task)
        try:
            await script(connection)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass
        finally:
            writer.close()
            state.tasks.discard(task)

    server = await asyncio.start_server(handle, host, 0, ssl=tls, limit=16_777_216)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FakeResolver:
    """Names from a table; each answer is a list of addresses or an exception.

    A name with several answers gives them one after another, the last for ever.
    A name that is not in the table is read as the C library reads numbers (`0x7f.1`), with no
    query sent; `asked` are all names in the order they were looked up.
    """

    def __init__(self, table: Mapping[str, Sequence[list[str] | BaseException]]) -> None:
        self._left = {name: list(answers) for name, answers in table.items()}
        self.asked: list[str] = []

    async def addresses(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        answers = self._left.get(host.rstrip("."))
        if answers is None:
            flags = socket.AI_NUMERICHOST
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
            return [str(info[4][0]) for info in found]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None:
        """Nothing is held."""


class Authority:
    """A certificate authority that lives for one test, valid between two days counted from now."""

    def __init__(self, directory: Path, days: tuple[int, int] = (-1, 1)) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self._certificate = self._signed(
            self._name, self._key, [x509.BasicConstraints(ca=True, path_length=None)], days
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def context(
        self, *hosts: str, days: tuple[int, int] = (-1, 1), self_signed: bool = False
    ) -> ssl.SSLContext:
        """A server's TLS context with a certificate for these hosts, valid between two days."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
        certificate = self._signed(subject, key, [names], days, self_signed=self_signed)
        path = self._directory / f"{certificate.serial_number}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extensions: Iterable[x509.ExtensionType],
        days: tuple[int, int],
        *,
        self_signed: bool = False,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=days[0]))
            .not_valid_after(now + dt.timedelta(days=days[1]))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key if self_signed else self._key, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
