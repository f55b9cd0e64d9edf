"""Kernels of 4-ary heaps of keys with an item each: the least key is first.

The children of an entry share a cache line, which makes four better than two. A heap that has to
find its entries again is in `queues`.
"""

from numba import njit


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def sift_up(keys, items, place, key, item):
    """Put an entry into the free `place` at the end of a heap, and let it rise."""
    while place > 0:
        parent = (place - 1) >> 2
        if keys[parent] <= key:
            break
        keys[place] = keys[parent]
        items[place] = items[parent]
        place = parent
    keys[place] = key
    items[place] = item


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def sift_down(keys, items, size, key, item):
    """Put an entry in the place of the first of a heap of `size`, and let it sink."""
    place = 0
    while True:
        child = 4 * place + 1
        if child >= size:
            break
        least = child
        for other in range(child + 1, min(child + 4, size)):
            if keys[other] < keys[least]:
                least = other
        if keys[least] >= key:
            break
        keys[place] = keys[least]
        items[place] = items[least]
        place = least
    keys[place] = key
    items[place] = item
