"""B-32, B-35: TLS with a real certificate, on loopback, through both clients."""

import ipaddress
import socket
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiclient import CallReport, ErrorClass, default_ssl_context
from tests.apiclient.asking import ask_async, ask_sync
from tests.apiclient.rogue import OK, Script, over_tls, request_of, rogue, sends

pytestmark = pytest.mark.hostile

ADDRESS = x509.SubjectAlternativeName(
    [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
)
# The same address, and a URI whose bytes are no UTF-8.
_ODD_NAMES = x509.UnrecognizedExtension(
    x509.SubjectAlternativeName.oid, bytes.fromhex("300a 87047f000001 8602fffe")
)
_HELLO_REQUEST = bytes.fromhex("160303000400000000")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tls"), ADDRESS)


def made(folder: Path, names: x509.ExtensionType) -> Path:
    """Return a self-signed certificate for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)  # noqa: TID251  # OpenSSL looks at the real clock
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def serving(certificate: Path) -> ssl.SSLContext:
    return serving_with(certificate)


def serving_with(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def breaks_off(serving: ssl.SSLContext, *rest: bytes) -> Script:
    """Answer with `rest` over TLS, then with a record that no key can have made."""

    def script(connection: socket.socket) -> None:
        raw = connection.dup()
        with serving.wrap_socket(connection, server_side=True) as stream:
            request_of(stream)
            for part in rest:
                stream.sendall(part)
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            raw.close()
            stream.recv(1)

    return script


def test_no_server_chooses_with_which_prime_we_reckon() -> None:
    """B-12: with one of ten thousand bits OpenSSL took a second, in one call."""
    ciphers = default_ssl_context().get_ciphers()

    assert {each["kea"] for each in ciphers} == {"kx-ecdhe", "kx-any"}


@pytest.mark.parametrize("ask", [ask_sync, ask_async], ids=["sync", "async"])
class TestTLS:
    @pytest.mark.parametrize(
        "rest",
        [(), (OK[:30],), (OK[:-5],)],
        ids=["at once", "in the head", "in the body"],
    )
    def test_tls_that_breaks_off_is_a_lost_connection(
        self,
        ask: Callable[..., CallReport[object]],
        serving: ssl.SSLContext,
        certificate: Path,
        rest: tuple[bytes, ...],
    ) -> None:
        """B-31: after the handshake, too, nothing but our own classes comes out."""
        trusting = ssl.create_default_context(cafile=str(certificate))
        with rogue(breaks_off(serving, *rest)) as server:
            report = ask(server.url.replace("http:", "https:"), ssl_context=trusting)

        assert report.error is ErrorClass.CONNECTION_LOST
        assert "bad record mac" in report.detail

    def test_a_handshake_without_end_ends_in_its_time(
        self, ask: Callable[..., CallReport[object]]
    ) -> None:
        """B-12: OpenSSL passes over such requests, and never returns to be asked."""

        def script(connection: socket.socket) -> None:
            connection.settimeout(5)
            connection.recv(4096)
            for _ in range(1000):
                connection.sendall(_HELLO_REQUEST * 10_000)

        with rogue(script) as server:
            url = server.url.replace("http:", "https:")
            report = ask(url, connect_timeout_s=0.1)

        assert report.error is ErrorClass.CONNECT_TIMEOUT
        assert report.elapsed_s < 0.3

    def test_a_trusted_certificate_is_measured(
        self,
        ask: Callable[..., CallReport[object]],
        certificate: Path,
        serving: ssl.SSLContext,
    ) -> None:
        trusting = ssl.create_default_context(cafile=str(certificate))
        with rogue(over_tls(serving, sends(OK))) as server:
            report = ask(server.url.replace("http:", "https:"), ssl_context=trusting)

        assert report.ok, report.detail
        assert report.attempts[0].phases.tls_s is not None
        # Its end is known, to be warned of: tomorrow, by how it was made.
        assert report.certificate_expires_at is not None
        left = report.certificate_expires_at - report.started_at
        assert timedelta(hours=23) < left < timedelta(hours=25)

    def test_a_name_that_cannot_be_read_is_no_fault_of_ours(
        self, ask: Callable[..., CallReport[object]], tmp_path: Path
    ) -> None:
        certificate = made(tmp_path, _ODD_NAMES)
        trusting = ssl.create_default_context(cafile=str(certificate))
        with rogue(over_tls(serving_with(certificate), sends(OK))) as server:
            report = ask(server.url.replace("http:", "https:"), ssl_context=trusting)

        assert report.ok, report.detail
        assert report.certificate_expires_at is None

    def test_the_environments_certificates_are_not_trusted(
        self,
        ask: Callable[..., CallReport[object]],
        certificate: Path,
        serving: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """B-43: whoever may set SSL_CERT_FILE must not read the key."""
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        default_ssl_context.cache_clear()
        with rogue(over_tls(serving, sends(OK))) as server:
            report = ask(server.url.replace("http:", "https:"))

        assert report.error is ErrorClass.TLS_FAILED

    def test_an_untrusted_certificate_is_not_retried(
        self, ask: Callable[..., CallReport[object]], serving: ssl.SSLContext
    ) -> None:
        with rogue(over_tls(serving, sends(OK))) as server:
            report = ask(server.url.replace("http:", "https:"))

        assert report.error is ErrorClass.TLS_FAILED
        assert "certificate verify failed" in report.detail
        assert len(report.attempts) == 1

    def test_a_certificate_of_another_name_is_refused(
        self,
        ask: Callable[..., CallReport[object]],
        certificate: Path,
        serving: ssl.SSLContext,
    ) -> None:
        trusting = ssl.create_default_context(cafile=str(certificate))
        with rogue(over_tls(serving, sends(OK))) as server:
            url = f"https://localhost:{server.port}"
            report = ask(url, ssl_context=trusting)

        assert report.error is ErrorClass.TLS_FAILED
