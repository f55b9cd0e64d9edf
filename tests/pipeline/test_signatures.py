"""Signature files on disk."""

from pathlib import Path

import pytest

from fabricscope.errors import ConfigError
from fabricscope.pipeline.signatures import check_signatures, list_signatures, load_signatures

OWN = """[[protocol]]
name = "house_protocol"
[[protocol.match]]
transport = "udp"
payload = ['@0 text "HOUSE"']
"""


def test_the_catalogue_has_what_a_cluster_runs() -> None:
    names = {protocol.name for protocol in list_signatures()}
    assert len(names) >= 130
    assert names >= {
        "roce_v2", "infiniband", "iwarp", "nvme_rdma", "smb_direct", "nfs_rdma", "ipoib", "iser",
        "nccl_bootstrap", "nccl_socket", "c10d_store", "gloo", "openmpi", "mpich_pmi", "ucx",
        "nvme_tcp", "iscsi", "nfs", "smb", "ceph", "lustre_lnet", "beegfs", "slurm", "http2",
        "dask", "ssh", "tls", "quic", "http", "dns", "mdns", "dhcp", "ntp", "ptp", "snmp",
        "syslog", "sflow", "netflow", "radius", "tacacs_plus", "ldap", "kerberos", "bgp", "ospf",
        "isis", "bfd", "lldp", "lacp", "stp", "vrrp", "pim", "igmp", "arp", "icmpv6",
        "postgresql", "mysql", "redis", "mongodb", "kafka", "amqp", "mqtt", "memcached",
    }  # fmt: skip


def test_every_protocol_can_be_named() -> None:
    # By payload, by the decoder, by an announcement.
    announced = {"gloo", "ftp_data"}
    for protocol in list_signatures():
        named = protocol.matches or protocol.decoded or protocol.ip_protocols or protocol.ethertypes
        assert named or protocol.name in announced, protocol.name


def test_own_files_are_added(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    assert [protocol.name for protocol in check_signatures(tmp_path)] == ["house_protocol"]
    assert load_signatures([tmp_path]).index("house_protocol") > 0


def test_bad_directories_and_files_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a directory"):
        check_signatures(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"no \*\.toml file"):
        check_signatures(tmp_path)
    (tmp_path / "own.toml").write_text(OWN.replace("HOUSE", "\\q"))
    with pytest.raises(ConfigError, match=r"own\.toml, line 5: payload: .*unknown escape"):
        check_signatures(tmp_path)
    (tmp_path / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        check_signatures(tmp_path)
