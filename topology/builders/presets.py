"""Named fabrics: each is a specification that the builders take, and where its figures are from."""

from typing import Final, NamedTuple

__all__ = ["PRESETS", "Preset"]

_SUPERPOD: Final = (
    "NVIDIA DGX SuperPOD Reference Architecture RA-11333-001, compute fabric component counts"
)


class Preset(NamedTuple):
    """specification: for `build`; about: one line for people; source: where it is published."""

    specification: str
    about: str
    source: str


PRESETS: Final[dict[str, Preset]] = {
    "textbook": Preset(
        "leaf-spine:8x4x16@400G",
        "8 leaves, 4 spines, 16 hosts a leaf: 4:1 oversubscribed",
        "the usual example of a small leaf-spine fabric",
    ),
    "dgx-h100-su": Preset(
        "rail:32x8x4@400G,links=8,host_length=10",
        "one scalable unit: 32 DGX H100, 256 GPUs, 8 leaves, 4 spines, not oversubscribed",
        _SUPERPOD,
    ),
    "dgx-h100-superpod": Preset(
        "rail:32x8x16@400G,units=4,links=2,host_length=10",
        "four scalable units: 128 DGX H100, 1,024 GPUs, 32 leaves, 16 spines",
        _SUPERPOD,
    ),
    "gh200-256": Preset(
        "dual-plane:32x12x8@1200G,planes=3,endpoint=gpu,uplink=800G,host_length=1,forwarding=100ns",
        "256 Grace Hopper on NVLink: 96 first-level and 36 second-level NVLink switches",
        "NVIDIA DGX GH200 technical white paper: 18 NVLinks of 200 Gb/s a GPU, six to each of its "
        "chassis' three switches; 96 switches in the first and 36 in the second level. That each "
        "of the first reaches twelve of the second, four NVLinks a fibre, is inferred from these",
    ),
    "pod-512": Preset(
        "rail:32x8x8@400G,units=2,links=4,host_length=10",
        "512 GPUs 1:1 on 64-port 400G switches: 16 leaves, 8 spines",
        _SUPERPOD,
    ),
    "pod-2048": Preset(
        "rail:32x8x32@400G,units=8,host_length=10",
        "2,048 GPUs 1:1, all that two tiers of 64-port switches hold: 64 leaves, 32 spines",
        _SUPERPOD,
    ),
    "pod-16384": Preset(
        "rail:32x8x32@400G,units=4,pods=16,cores=256,core_links=4,host_length=10",
        "16,384 GPUs 1:1 in three tiers: 512 leaves, 512 spines, 256 cores",
        _SUPERPOD,
    ),
}
"""Fabrics by name. Optics follow from lengths: two transceivers a fibre, none below 3 m."""
