"""Servers of the test's own on loopback, as well or as badly behaved as a client's may be."""

import datetime
import functools
import socketserver
import ssl
import threading
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Send = Callable[[bytes], None]


class Authority:
    """A certificate authority with its certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Authority of {folder.name}")])
        self.certificate = self._certificate(self.name, self.key, [_ca(), _key_usage(signs=True)])
        self.file = folder / "authority.pem"
        self.file.write_bytes(_pem(self.certificate))

    @functools.cache  # noqa: B019  # an authority lives as long as the run
    def issue(self, host: str, *, expired: bool = False) -> Path:
        """A file with a key and a certificate for ``host``."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._certificate(name, key, [_san(host)], expired=expired)
        file = self.folder / f"{host}{'-expired' if expired else ''}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + _pem(certificate))
        return file

    def _certificate(self, subject, key, extensions, *, expired: bool = False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=2))
            .not_valid_after(now + datetime.timedelta(days=-1 if expired else 1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=not isinstance(extension, _NEVER_CRITICAL))
        return builder.sign(self.key, hashes.SHA256())


_NEVER_CRITICAL = (x509.SubjectAlternativeName,)


def _ca() -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=True, path_length=0)


def _key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _san(host: str) -> x509.SubjectAlternativeName:
    try:
        return x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
    except ValueError:
        return x509.SubjectAlternativeName([x509.DNSName(host)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def answer(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Server(socketserver.ThreadingTCPServer):
    """Serves ``behave(send)`` to whoever connects; TLS where it has a certificate.

    ``requests`` holds what was asked, ``names`` what was asked for in SNI.
    """

    allow_reuse_address = True

    def __init__(self, behave: Callable[[Send], None], certificate: Path | None) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.behave = behave
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.closing = threading.Event()
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
            self.context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.port = self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up in the middle is what these tests are about."""

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


class _Connection(socketserver.BaseRequestHandler):
    server: Server

    def setup(self) -> None:
        self.request.settimeout(10)
        if self.server.context:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)

    def handle(self) -> None:
        self.server.requests.append(self._asked())
        self.server.behave(self.request.sendall)

    def finish(self) -> None:
        self.request.close()

    def _asked(self) -> bytes:
        asked = b""
        while b"\r\n\r\n" not in asked:
            asked += self._received()
        head, _, body = asked.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                while len(body) < int(value):
                    body += self._received()
        return head + b"\r\n\r\n" + body

    def _received(self) -> bytes:
        received = self.request.recv(65536)
        if not received:
            raise ConnectionError("The client hung up.")
        return received
