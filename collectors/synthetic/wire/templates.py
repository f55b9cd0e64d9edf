"""Header templates made with scapy: tunnels, Ethernet, IP and UDP in front of every packet.

One template is built for a layout; addresses and ports of each flow are then written into
copies of it. Lengths and checksums are the kernel's business.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fabricscope.collectors.synthetic.recipe import Encapsulation, Recipe
from fabricscope.collectors.synthetic.wire import kernels

CNP_DSCP = 48
TUNNEL_SOURCE = {4: "172.16.0.1", 6: "fd10::1"}
TUNNEL_DESTINATION = {4: "172.16.0.2", 6: "fd10::2"}
MIRROR_KINDS = ("erspan1", "erspan2", "erspan3", "gretap")
"""Tunnels that carry any Ethernet frame, link-local ones too."""
LAYOUT_COLUMNS = 40


@dataclass(slots=True)
class Template:
    """A frame's bytes in front of the transport header, and what must be filled in."""

    header: bytes
    layout: NDArray[np.int64]
    ethernet: int
    udp: int


def host_mac(host: int) -> str:
    """Return a host's locally administered MAC address."""
    return f"02:fa:b0:00:{host >> 8:02x}:{host & 255:02x}"


def host_address(host: int, version: int) -> str:
    """Return a host's address: 10.0.0.1 onwards, or fd00::1 onwards."""
    if version == 4:
        return f"10.0.{(host + 1) >> 8}.{(host + 1) & 255}"
    return f"fd00::{host + 1:x}"


def address_bytes(host: int, version: int) -> bytes:
    """Return a host's address in network order: 4 bytes, or 16 for IPv6."""
    if version == 4:
        return bytes([10, 0, (host + 1) >> 8, (host + 1) & 255])
    return bytes.fromhex("fd00") + bytes(10) + (host + 1).to_bytes(4, "big")


def gid_bytes(host: int, version: int) -> bytes:
    """Return a host's 16-byte GID: its IPv6 address, or ::ffff: and its IPv4 address."""
    address = address_bytes(host, version)
    return address if version == 6 else bytes(10) + b"\xff\xff" + address


def tunnel_layers(spec: Encapsulation, kinds: tuple[str, ...], inner_ethertype: int) -> list[Any]:
    """Return scapy layers up to where the inner frame, or after gre the inner IP, begins."""
    from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import GRE, Dot1Q, Ether
    from scapy.layers.vxlan import VXLAN

    source, destination = TUNNEL_SOURCE[spec.ip_version], TUNNEL_DESTINATION[spec.ip_version]
    carrier = 0x0800 if spec.ip_version == 4 else 0x86DD
    layers: list[Any] = []
    bare_ip = False  # A gre tunnel came before: IP follows without Ethernet.
    for position, kind in enumerate(kinds):
        tunnels_left = any(later != "vlan" for later in kinds[position + 1 :])
        following = carrier if tunnels_left else inner_ethertype
        if kind == "vlan":
            if not layers or not isinstance(layers[-1], Ether | Dot1Q):
                layers.append(Ether(src="02:fa:b0:ff:00:01", dst="02:fa:b0:ff:00:02"))
            layers[-1].type = 0x8100
            own = carrier if tunnels_left else inner_ethertype
            layers.append(Dot1Q(vlan=spec.vlan, prio=3, type=own))
            continue
        if not bare_ip and not (layers and isinstance(layers[-1], Ether | Dot1Q)):
            layers.append(Ether(src="02:fa:b0:ff:00:01", dst="02:fa:b0:ff:00:02", type=carrier))
        protocol = 17 if kind == "vxlan" else 47
        if spec.ip_version == 4:
            layers.append(IP(src=source, dst=destination, ttl=62, proto=protocol, flags="DF"))
        else:
            layers.append(IPv6(src=source, dst=destination, hlim=62, nh=protocol))
        bare_ip = kind == "gre"
        if kind == "vxlan":
            layers += [UDP(sport=0xC123, dport=4789, chksum=0), VXLAN(flags=8, vni=spec.vni)]
        elif kind == "erspan1":
            layers.append(GRE(proto=0x88BE))
        elif kind == "erspan2":
            layers.append(GRE(proto=0x88BE, seqnum_present=1, sequence_number=0))
            layers.append(ERSPAN_II(session_id=spec.session))
        elif kind == "erspan3":
            layers.append(GRE(proto=0x22EB, seqnum_present=1, sequence_number=0))
            layers.append(ERSPAN_III(session_id=spec.session))
        elif kind == "gretap":
            layers.append(GRE(proto=0x6558, key_present=1, key=spec.key))
        else:
            layers.append(GRE(proto=following, key_present=1, key=spec.key))
    return layers


def assemble(layers: list[Any]) -> Template:
    """Join scapy layers and note where the fields are that depend on the packet."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import GRE, Ether
    from scapy.packet import Packet

    header = b""
    patches: list[tuple[int, int]] = []
    network = version = udp = 0
    ethernet = -1
    for layer in layers:
        offset = len(header)
        header += bytes(layer)
        if isinstance(layer, Ether):
            ethernet = offset
        elif isinstance(layer, IP):
            patches.append((kernels.PATCH_IPV4, offset))
            network, version, ethernet = offset, 4, ethernet
        elif isinstance(layer, IPv6):
            patches.append((kernels.PATCH_IPV6, offset))
            network, version = offset, 1 if layer.nh == 0x1B else 6
        elif isinstance(layer, UDP):
            patches.append((kernels.PATCH_UDP, offset))
            udp = offset
        elif isinstance(layer, GRE) and layer.seqnum_present:
            patches.append((kernels.PATCH_SEQUENCE, len(header) - 4))
        elif not isinstance(layer, Packet):
            raise TypeError(f"{layer!r} is no scapy layer")
    layout = np.zeros(LAYOUT_COLUMNS, np.int64)
    layout[:4] = (len(header), network, version, len(patches))
    for number, patch in enumerate(reversed(patches)):
        layout[kernels.LAYOUT_FIRST + 2 * number : kernels.LAYOUT_FIRST + 2 * number + 2] = patch
    return Template(header, layout, ethernet, udp)


def roce_template(recipe: Recipe, cnp: bool) -> Template:
    """Return the template of RoCE packets, without the addresses of a flow."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Dot1Q, Ether

    network, spec = recipe.network, recipe.encapsulation
    dscp = CNP_DSCP if cnp else network.dscp
    ethertype = 0x8915 if network.roce == 1 else (0x0800 if network.ip_version == 4 else 0x86DD)
    layers = tunnel_layers(spec, spec.kinds, ethertype)
    after_gre = spec.kinds[-1:] == ("gre",)
    if not after_gre and not (layers and isinstance(layers[-1], Dot1Q)):
        layers.append(Ether(src=host_mac(0), dst=host_mac(1), type=ethertype))
    if network.roce == 1:
        layers.append(IPv6(src="::1", dst="::2", nh=0x1B, hlim=64, tc=dscp << 2))
    else:
        if network.ip_version == 4:
            layers.append(
                IP(src="1.1.1.1", dst="2.2.2.2", ttl=64, proto=17, flags="DF", tos=dscp << 2)
            )
        else:
            layers.append(IPv6(src="::1", dst="::2", nh=17, hlim=64, tc=dscp << 2))
        layers.append(UDP(sport=0, dport=4791, chksum=0))
    return assemble(layers)


def fill_addresses(
    header: NDArray[np.uint8], template: Template, src: int, dst: int, version: int
) -> None:
    """Write the addresses of two hosts into the innermost Ethernet and network headers."""
    network = int(template.layout[kernels.LAYOUT_IP])
    kind = int(template.layout[kernels.LAYOUT_VERSION])
    if template.ethernet >= 0 and network - template.ethernet <= 22:
        macs = bytes.fromhex((host_mac(dst) + host_mac(src)).replace(":", ""))
        header[template.ethernet : template.ethernet + 12] = np.frombuffer(macs, np.uint8)
    both = b""
    for host in (src, dst):
        both += gid_bytes(host, version) if kind == 1 else address_bytes(host, version)
    start = network + (12 if kind == 4 else 8)
    header[start : start + len(both)] = np.frombuffer(both, np.uint8)


def background_template(
    recipe: Recipe, src: int, dst: int, ports: tuple[int, int], tcp: bool
) -> Template:
    """Return the template of one direction of a TCP or UDP flow, complete with addresses."""
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Dot1Q, Ether

    version, spec = recipe.network.ip_version, recipe.encapsulation
    ethertype = 0x0800 if version == 4 else 0x86DD
    layers = tunnel_layers(spec, spec.kinds, ethertype)
    if spec.kinds[-1:] != ("gre",) and not (layers and isinstance(layers[-1], Dot1Q)):
        layers.append(Ether(src=host_mac(src), dst=host_mac(dst), type=ethertype))
    protocol = 6 if tcp else 17
    if version == 4:
        layers.append(IP(src="1.1.1.1", dst="2.2.2.2", ttl=64, proto=protocol, flags="DF"))
    else:
        layers.append(IPv6(src="::1", dst="::2", nh=protocol, hlim=64))
    if tcp:
        options = [("NOP", None), ("NOP", None), ("Timestamp", (1, 1))]
        layers.append(TCP(sport=ports[0], dport=ports[1], window=512, options=options))
    else:
        layers.append(UDP(sport=ports[0], dport=ports[1], chksum=0))
    template = assemble(layers)
    header = np.frombuffer(template.header, np.uint8).copy()
    fill_addresses(header, template, src, dst, version)
    template.header = header.tobytes()
    return template


def pause_template(recipe: Recipe, priorities: int, quanta: int, classic: bool) -> Template:
    """Return a whole PFC or PAUSE frame of a switch, 60 bytes, in a mirror's tunnel if any."""
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    # VLAN and VXLAN do not carry link-local frames; a mirror's tunnel does.
    kinds = tuple(kind for kind in recipe.encapsulation.kinds if kind in MIRROR_KINDS)
    layers = tunnel_layers(recipe.encapsulation, kinds[:1], 0x8808)
    layers.append(Ether(src="02:fa:b0:ff:ff:01", dst="01:80:c2:00:00:01", type=0x8808))
    if classic:
        control = (1).to_bytes(2, "big") + quanta.to_bytes(2, "big")
    else:
        control = (0x0101).to_bytes(2, "big") + priorities.to_bytes(2, "big")
        for priority in range(8):
            control += (quanta if priorities >> priority & 1 else 0).to_bytes(2, "big")
    layers.append(Raw(control.ljust(46, b"\0")))
    template = assemble(layers)
    template.layout[kernels.LAYOUT_IP] = 0
    template.layout[kernels.LAYOUT_VERSION] = 0
    return template
