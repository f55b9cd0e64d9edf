"""Kernels of max-min fair sharing (progressive filling), for the flows that are active now.

`net` is `state.Network`, `run` is `state.Sharing`. A flow uses its own channels (`net.entries`)
with a weight each, and, where it is sprayed, the channels of its class with the class's weights.
Active flows of a channel hang on a doubly linked list; a class is one more list behind those of
the channels. A flow that pauses and takes nothing from anyone by keeping its rate is parked: it
stays linked until its share is wanted.
"""

from numba import njit

from fabricscope.topology.flow_level.heaps.kernels import sift_down, sift_up

_CLOSE = 1e-9


@njit(cache=True, nogil=True, _nrt=False)
def link_flow(net, run, flow):
    """Put `flow` on the lists of its channels and its class."""
    run.linked[flow] = 1
    width = net.entries.shape[1] + 1
    for hop in range(width - 1):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        _insert(run, flow * width + hop, channel)
        run.members[channel] += 1
    if net.class_of[flow] >= 0:
        _insert(run, flow * width + width - 1, len(net.capacity) + net.class_of[flow])
        run.class_count[net.class_of[flow]] += 1


@njit(cache=True, nogil=True, _nrt=False)
def unlink_flow(net, run, flow):
    """Take `flow` off its lists and its rate off its channels; its rate becomes 0."""
    run.linked[flow] = 0
    run.parked[flow] = 0
    width = net.entries.shape[1] + 1
    rate = run.rate[flow]
    row = flow * net.stride
    for hop in range(width - 1):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        _remove(run, flow * width + hop, channel)
        run.members[channel] -= 1
        if run.members[channel]:
            run.used[channel] -= rate * net.weights[row, hop]
        else:
            run.used[channel] = 0.0
    of = net.class_of[flow]
    if of >= 0:
        _remove(run, flow * width + width - 1, len(net.capacity) + of)
        run.class_count[of] -= 1
        run.class_rate[of] = run.class_rate[of] - rate if run.class_count[of] else 0.0
    if run.label[flow] >= 0:
        run.bound[run.label[flow]] -= 1
    run.label[flow] = -1
    run.rate[flow] = 0.0


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def _insert(run, slot, head):
    following = run.first[head]
    run.following[slot] = following
    run.previous[slot] = -1
    if following >= 0:
        run.previous[following] = slot
    run.first[head] = slot


@njit(cache=True, nogil=True, _nrt=False, inline="always")
def _remove(run, slot, head):
    before = run.previous[slot]
    after = run.following[slot]
    if before >= 0:
        run.following[before] = after
    else:
        run.first[head] = after
    if after >= 0:
        run.previous[after] = before


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def limits_others(net, run, flow):
    """Return whether another flow could go faster if `flow` did not send."""
    for hop in range(net.entries.shape[1]):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        if run.bound[channel] > (run.label[flow] == channel):
            return True
    of = net.class_of[flow]
    if of >= 0:
        for place in range(net.class_start[of], net.class_start[of + 1]):
            channel = net.class_channels[place]
            if run.bound[channel] > (run.label[flow] == channel):
                return True
    return False


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _used(net, run, channel):
    """Return the bytes/ns that active flows send into `channel`."""
    used = run.used[channel]
    for place in range(net.channel_start[channel], net.channel_start[channel + 1]):
        used += net.channel_weights[place] * run.class_rate[net.channel_classes[place]]
    return used


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def start_alone(net, run, flow):
    """Give the linked `flow` (rate 0) what is free on its path, if that is its max-min share.

    It is when nobody else has to give way: the channel that limits it has nobody who is faster.
    Returns False, and changes nothing, when shares have to be made anew.
    """
    rate = 1e300
    label = -1
    alone = False
    row = flow * net.stride
    for hop in range(net.entries.shape[1]):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        free = (net.capacity[channel] - _used(net, run, channel)) / net.weights[row, hop]
        private = run.members[channel] == 1
        private &= net.channel_start[channel] == net.channel_start[channel + 1]
        if free < rate * (1.0 - _CLOSE) or (private and not alone and free < rate * (1 + _CLOSE)):
            rate = free
            label = channel
            alone = private
    of = net.class_of[flow]
    if of >= 0:
        for place in range(net.class_start[of], net.class_start[of + 1]):
            channel = net.class_channels[place]
            weight = net.class_weights[place]
            free = (net.capacity[channel] - _used(net, run, channel)) / weight
            if free < rate * (1.0 - _CLOSE):
                rate = free
                label = channel
                alone = False
    if label < 0 or rate <= _CLOSE * net.capacity[label]:
        return False
    if not alone and not _is_fastest(net, run, label, rate):
        return False
    for hop in range(net.entries.shape[1]):
        channel = net.entries[flow, hop]
        if channel < 0:
            break
        run.used[channel] += rate * net.weights[row, hop]
    if of >= 0:
        run.class_rate[of] += rate
    run.rate[flow] = rate
    run.label[flow] = label
    run.bound[label] += 1
    return True


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _is_fastest(net, run, channel, rate):
    """Return whether no flow on `channel` is faster than `rate`; False if that takes long."""
    if net.channel_start[channel] != net.channel_start[channel + 1] or run.members[channel] > 16:
        return False
    width = net.entries.shape[1] + 1
    slot = run.first[channel]
    while slot >= 0:
        if run.parked[slot // width] or run.rate[slot // width] > rate * (1.0 + _CLOSE):
            return False
        slot = run.following[slot]
    return True


@njit(cache=True, nogil=True, _nrt=False)
def share_again(net, run, work, seeds, seed_count):
    """Make the shares of all flows that hang together with the `seeds` (channels) anew.

    Leaves the flows in `work.flows`, with their new rates in `work.rate`, and returns how many;
    labels, channels' and classes' sums are those of the new rates. The caller sets `run.rate`.
    """
    flows, channels, classes = _collect(net, run, work, seeds, seed_count)
    flows = _drop_parked(net, run, work, flows)
    width = net.entries.shape[1] + 1
    for place in range(classes):
        of = work.classes[place]
        work.class_left[of] = run.class_count[of]
        run.class_rate[of] = 0.0
    for place in range(channels):
        channel = work.channels[place]
        work.weight[channel] = 0.0
        run.used[channel] = 0.0
    for place in range(flows):
        flow = work.flows[place]
        work.rate[flow] = -1.0
        for hop in range(width - 1):
            channel = net.entries[flow, hop]
            if channel < 0:
                break
            work.weight[channel] += net.weights[flow * net.stride, hop]
    size = 0
    for place in range(channels):
        channel = work.channels[place]
        share = share_of(net, run, work, channel)
        if share >= 0.0:
            size = push_share(work, size, share, channel)
    left = flows
    while left > 0 and size > 0:
        level = work.heap_share[0]
        channel = work.heap_channel[0]
        share = share_of(net, run, work, channel)
        if share < 0.0:
            size = drop_share(work, size)
            continue
        if share > level * (1.0 + 1e-12) and size > 1:
            replace_share(work, size, share, channel)
            continue
        size = drop_share(work, size)
        slot = run.first[channel]
        while slot >= 0:
            left -= _freeze(net, run, work, slot // width, share, channel)
            slot = run.following[slot]
        for place in range(net.channel_start[channel], net.channel_start[channel + 1]):
            slot = run.first[len(net.capacity) + net.channel_classes[place]]
            while slot >= 0:
                left -= _freeze(net, run, work, slot // width, share, channel)
                slot = run.following[slot]
    return flows


@njit(cache=True, nogil=True, _nrt=False)
def _collect(net, run, work, seeds, seed_count):
    """Fill the lists of `work` with what hangs together with the seeds; return their lengths."""
    work.stamp[0] += 1
    stamp = work.stamp[0]
    width = net.entries.shape[1] + 1
    flows = 0
    channels = 0
    classes = 0
    for place in range(seed_count):
        if work.channel_stamp[seeds[place]] != stamp:
            work.channel_stamp[seeds[place]] = stamp
            work.channels[channels] = seeds[place]
            channels += 1
    done = 0
    classes_done = 0
    flows_done = 0
    while done < channels or classes_done < classes or flows_done < flows:
        if flows_done < flows:
            flow = work.flows[flows_done]
            flows_done += 1
            for hop in range(width - 1):
                channel = net.entries[flow, hop]
                if channel < 0:
                    break
                if work.channel_stamp[channel] != stamp:
                    work.channel_stamp[channel] = stamp
                    work.channels[channels] = channel
                    channels += 1
            of = net.class_of[flow]
            if of >= 0 and work.class_stamp[of] != stamp:
                work.class_stamp[of] = stamp
                work.classes[classes] = of
                classes += 1
            continue
        if done < channels:
            head = work.channels[done]
            done += 1
            for place in range(net.channel_start[head], net.channel_start[head + 1]):
                of = net.channel_classes[place]
                if run.class_count[of] and work.class_stamp[of] != stamp:
                    work.class_stamp[of] = stamp
                    work.classes[classes] = of
                    classes += 1
        else:
            of = work.classes[classes_done]
            classes_done += 1
            for place in range(net.class_start[of], net.class_start[of + 1]):
                channel = net.class_channels[place]
                if work.channel_stamp[channel] != stamp:
                    work.channel_stamp[channel] = stamp
                    work.channels[channels] = channel
                    channels += 1
            head = len(net.capacity) + of
        slot = run.first[head]
        while slot >= 0:
            flow = slot // width
            if work.flow_stamp[flow] != stamp:
                work.flow_stamp[flow] = stamp
                work.flows[flows] = flow
                flows += 1
            slot = run.following[slot]
    return flows, channels, classes


@njit(cache=True, nogil=True, _nrt=False)
def _drop_parked(net, run, work, flows):
    """Unlink the flows that only kept their place; return how many are left."""
    left = 0
    for place in range(flows):
        flow = work.flows[place]
        if run.parked[flow]:
            unlink_flow(net, run, flow)
        else:
            work.flows[left] = flow
            left += 1
    return left


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def share_of(net, run, work, channel):
    """Return what each flow on `channel` that has no rate yet could get; -1 if there is none."""
    weight = work.weight[channel]
    used = run.used[channel]
    for place in range(net.channel_start[channel], net.channel_start[channel + 1]):
        of = net.channel_classes[place]
        if run.class_count[of]:
            weight += net.channel_weights[place] * work.class_left[of]
            used += net.channel_weights[place] * run.class_rate[of]
    if weight < 1e-9:
        return -1.0
    return max(net.capacity[channel] - used, 0.0) / weight


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def _freeze(net, run, work, flow, rate, channel):
    """Fix the rate of `flow`, limited by `channel`; return 1, or 0 if it was fixed before."""
    if work.rate[flow] >= 0.0:
        return 0
    work.rate[flow] = rate
    label = channel
    for hop in range(net.entries.shape[1]):
        own = net.entries[flow, hop]
        if own < 0:
            break
        weight = net.weights[flow * net.stride, hop]
        work.weight[own] -= weight
        run.used[own] += rate * weight
        # A full channel of its own limits it as well, and then others need not care.
        private = run.members[own] == 1 and net.channel_start[own] == net.channel_start[own + 1]
        if private and rate * weight >= net.capacity[own] * (1.0 - _CLOSE):
            label = own
    of = net.class_of[flow]
    if of >= 0:
        work.class_left[of] -= 1
        run.class_rate[of] += rate
    if run.label[flow] >= 0:
        run.bound[run.label[flow]] -= 1
    run.label[flow] = label
    run.bound[label] += 1
    return 1


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def push_share(work, size, share, channel):
    """Add a channel to the heap of shares; return its new size."""
    sift_up(work.heap_share, work.heap_channel, size, share, channel)
    return size + 1


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def drop_share(work, size):
    """Take the top off the heap of shares; return its new size."""
    size -= 1
    if size > 0:
        replace_share(work, size, work.heap_share[size], work.heap_channel[size])
    return size


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def replace_share(work, size, share, channel):
    """Put an entry in the place of the top of a heap of `size`, and sift it down."""
    sift_down(work.heap_share, work.heap_channel, size, share, channel)
