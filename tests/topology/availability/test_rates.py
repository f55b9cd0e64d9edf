"""How many parts a cluster has."""

from fabricscope.topology.availability.rates import Cluster, count_parts


def test_a_two_tier_cluster():
    parts = count_parts(2048, Cluster())
    assert (parts.gpus, parts.servers, parts.access_links) == (2048, 256, 2048)
    assert (parts.fabric_links, parts.leaves, parts.upper_switches) == (2048, 64, 32)
    assert parts.optics == 2 * 4096


def test_a_three_tier_cluster_has_a_further_tier_of_links():
    parts = count_parts(16_384, Cluster())
    assert (parts.fabric_links, parts.leaves, parts.upper_switches) == (32_768, 512, 768)


def test_a_second_leaf_doubles_what_is_between_servers():
    one, two = (count_parts(1024, Cluster(dual_homed=dual)) for dual in (False, True))
    assert two.servers == one.servers
    assert (two.access_links, two.leaves) == (2 * one.access_links, 2 * one.leaves)
