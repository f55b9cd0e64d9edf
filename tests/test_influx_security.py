"""Credentials and TLS, with real servers: who is let in, and whom we trust."""

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from examples.points import numbered
from servers import InfluxServer

from fabricscope.errors import StoreError
from fabricscope.influx.store import InfluxStore
from fabricscope.store import open_store

pytestmark = pytest.mark.server


def test_wrong_credentials_and_databases_are_one_sentence(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path / "server", auth=True)
    server.start()
    server.prepare()
    host = f"127.0.0.1:{server.port}"
    try:
        for user, database, sentence in (
            ("", "fabric", "refuses the credentials (unable to parse authentication"),
            ("anna:wrong@", "fabric", "refuses the credentials (authorization failed); check"),
            ("anna:tall%3A%20tree@", "none", 'has no database none (database not found: "none")'),
        ):
            with pytest.raises(StoreError) as found:
                open_store(f"influx://{user}{host}/{database}?spool={tmp_path}/spool").__enter__()
            assert sentence in str(found.value)
            assert "\n" not in str(found.value)
        good = f"influx://anna:tall%3A%20tree@{host}/fabric?spool={tmp_path}/spool"
        with open_store(good) as store:
            store.append("tap_samples", numbered(0, 10))
            assert store.query("tap_samples", 0, 10**19).height == 10
        # The password is changed while the collector runs: nothing is lost, and it is said.
        with open_store(good) as store:
            server.ask("SET PASSWORD FOR anna = 'other'")
            store.append("tap_samples", numbered(10, 10))
            assert "refuses the credentials" in store.problem
            assert isinstance(store, InfluxStore)
            assert store.waiting_points == 10
    finally:
        server.stop()


@pytest.fixture
def certificate() -> Callable[[Path], Path]:
    """Return what writes a self-signed certificate for 127.0.0.1 into a folder."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def write(root: Path) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        signed = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        (root / "server.pem").write_bytes(signed.public_bytes(pem))
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (root / "server.key").write_bytes(key.private_bytes(pem, *plain))
        return root / "server.pem"

    return write


def test_tls_trusts_only_who_it_was_told_to(
    tmp_path: Path, certificate: Callable[[Path], Path]
) -> None:
    server = InfluxServer(tmp_path / "server", tls=True)
    pem = certificate(server.root)
    server.session.verify = str(pem)
    server.start()
    server.prepare()
    secure = server.store(tmp_path / "spool").replace("influx:", "influxs:")
    try:
        with open_store(f"{secure}&ca={pem}") as store:
            store.append("tap_samples", numbered(0, 10))
            assert store.query("tap_samples", 0, 10**19).height == 10
        with open_store(secure) as store:
            assert "is not trusted; name the file of the authority" in store.problem
    finally:
        server.stop()
